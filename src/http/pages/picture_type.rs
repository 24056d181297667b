//! The type of a picture, by its content: a wrong name does not make it unusable.

/// How much of a file tells its type.
pub(super) const HEAD_LEN: u64 = 1024;

/// The media type of a picture that browsers show, by the head of its file. `None`: it is none.
pub(super) fn picture_type(head: &[u8]) -> Option<&'static str> {
    match head {
        [0x89, b'P', b'N', b'G', 0x0D, 0x0A, 0x1A, 0x0A, ..] => Some("image/png"),
        [0xFF, 0xD8, 0xFF, ..] => Some("image/jpeg"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        [_, _, _, _, b'f', b't', b'y', b'p', brands @ ..] if has_avif_brand(brands) => Some("image/avif"),
        _ => is_svg(head).then_some(SVG),
    }
}

pub(super) const SVG: &str = "image/svg+xml";

/// The major brand, a version, and the compatible brands.
fn has_avif_brand(brands: &[u8]) -> bool {
    brands.chunks(4).take(16).any(|brand| brand == b"avif" || brand == b"avis")
}

/// An XML document whose first element is `svg`. A declaration, comments and a document type
/// may come before it.
fn is_svg(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head);
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    loop {
        let end = match rest {
            _ if rest.starts_with("<!--") => "-->",
            _ if rest.starts_with("<?") => "?>",
            _ if rest.starts_with("<!") => ">",
            _ => break,
        };
        let Some((_, after)) = rest.split_once(end) else { return false };
        rest = after.trim_start();
    }
    rest.strip_prefix("<svg").is_some_and(|rest| rest.starts_with([' ', '>', '\n', '\r', '\t']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_told_by_their_content() {
        for (bytes, expected) in [
            (&b"\x89PNG\r\n\x1a\n...."[..], Some("image/png")),
            (b"\xff\xd8\xff\xe0", Some("image/jpeg")),
            (b"RIFF\0\0\0\0WEBPVP8 ", Some("image/webp")),
            (b"\0\0\0\x1cftypavif\0\0\0\0mif1", Some("image/avif")),
            (b"\0\0\0\x1cftypmif1\0\0\0\0avif", Some("image/avif")),
            (b"\0\0\0\x1cftypisom\0\0\0\0mp42", None),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", Some(SVG)),
            (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- a lamp -->\n<!DOCTYPE svg>\n<svg>", Some(SVG)),
            (b"<html><svg></svg></html>", None),
            (b"GIF89a", None),
            (b"lamp", None),
            (b"", None),
        ] {
            assert_eq!(picture_type(bytes), expected, "{:?}", String::from_utf8_lossy(bytes));
        }
    }
}
