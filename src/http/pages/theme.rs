//! The accent colour of a site, in shades that are legible on light and on dark pages.

use std::fmt;

/// An opaque sRGB colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Colour([u8; 3]);

const WHITE: Colour = Colour([255; 3]);
const BLACK: Colour = Colour([0; 3]);
/// The darkest background of light pages, and the lightest one of dark pages (`--paper` and
/// `--card` of `assets/style.css`).
const LIGHT_PAPER: Colour = Colour([0xfb, 0xfa, 0xf8]);
const DARK_CARD: Colour = Colour([0x18, 0x1d, 0x23]);
/// Least contrast of text (WCAG 2.2, 1.4.3).
const TEXT_CONTRAST: f64 = 4.5;
const STEPS: u16 = 64;
/// The tint of badges, in [`STEPS`].
const TINT: u16 = STEPS / 8;

impl Colour {
    /// `#rrggbb`
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6)?;
        let is_hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let channel = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
        if is_hexadecimal { Some(Self([channel(0)?, channel(2)?, channel(4)?])) } else { None }
    }

    /// Relative luminance, as WCAG defines it.
    fn luminance(self) -> f64 {
        let linear = |channel: u8| {
            let value = f64::from(channel) / 255.0;
            if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        let [red, green, blue] = self.0.map(linear);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    /// `step` of [`STEPS`] on the way to another colour.
    fn toward(self, other: Self, step: u16) -> Self {
        let mix = |from: u8, to: u8| {
            let sum = u16::from(from) * (STEPS - step) + u16::from(to) * step;
            u8::try_from(sum / STEPS).unwrap_or(u8::MAX)
        };
        let ([r, g, b], [to_r, to_g, to_b]) = (self.0, other.0);
        Self([mix(r, to_r), mix(g, to_g), mix(b, to_b)])
    }

    /// The nearest shade that is legible as text on `paper`, also where that is tinted with it, on
    /// the way to `ink`.
    fn legible_on(self, paper: Self, ink: Self) -> Self {
        let mut shades = (0..=STEPS).map(|step| self.toward(ink, step));
        let is_legible = |shade: &Self| shade.contrast(paper.toward(*shade, TINT)) >= TEXT_CONTRAST;
        shades.find(is_legible).unwrap_or(ink)
    }

    /// Black or white, whichever is more legible on this colour. One of them always is.
    fn text_on(self) -> Self {
        if self.contrast(WHITE) >= self.contrast(BLACK) { WHITE } else { BLACK }
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(out, "#{red:02x}{green:02x}{blue:02x}")
    }
}

/// The custom properties of an accent colour, for both colour schemes. On light pages buttons have
/// the colour itself; text, and everything on dark pages, has the nearest legible shade.
pub(super) fn stylesheet(accent: Colour) -> String {
    let properties = |fill: Colour, ink: Colour| {
        format!(":root{{--accent:{fill};--on-accent:{};--accent-ink:{ink}}}", fill.text_on())
    };
    let on_dark = accent.legible_on(DARK_CARD, WHITE);
    format!(
        "{}@media (prefers-color-scheme:dark){{{}}}",
        properties(accent, accent.legible_on(LIGHT_PAPER, BLACK)),
        properties(on_dark, on_dark)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_reads_and_prints() {
        assert_eq!(Colour::parse("#1d4ED8").unwrap().to_string(), "#1d4ed8");
        for text in ["", "1d4ed8", "#1d4ed", "#1d4ed80", "#1d4eg8", "#1d4é8", "red", "#+d4ed8"] {
            assert_eq!(Colour::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn every_shade_is_legible_whatever_the_accent() {
        for text in ["#ffffff", "#000000", "#ffd400", "#1d4ed8", "#777777", "#00ff00", "#c8102e", "#0f1216"] {
            let accent = Colour::parse(text).unwrap();
            assert!(accent.text_on().contrast(accent) >= TEXT_CONTRAST, "{text}: on a button");
            let (light, dark) = (accent.legible_on(LIGHT_PAPER, BLACK), accent.legible_on(DARK_CARD, WHITE));
            assert!(light.contrast(LIGHT_PAPER) >= TEXT_CONTRAST, "{text}: {light} on light pages");
            assert!(dark.contrast(DARK_CARD) >= TEXT_CONTRAST, "{text}: {dark} on dark pages");
        }
        let legible = Colour::parse("#1d4ed8").unwrap();
        assert_eq!(legible.legible_on(LIGHT_PAPER, BLACK), legible, "a legible colour stays");
    }
}
