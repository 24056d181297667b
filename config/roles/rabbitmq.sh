#!/bin/sh
# Users of RabbitMQ with the permissions that each process needs, and no more. Run it where rabbitmqctl
# works; it can be run again.
#
#   SERVE_PASSWORD=… WORK_PASSWORD=… OPERATOR_PASSWORD=… config/roles/rabbitmq.sh
#
# FLASHSALE_PREFIX (flashsale) is the first part of the names of exchanges and queues, VHOST (/) the
# virtual host.
#
#   flashsale_serve      serve, web: publish
#   flashsale_work       work, topology: declare, bind, publish, consume
#   flashsale_operator   audit, reconcile, dead-letters, purchases erase; and web, where a load test
#                        reads the evidence of an audit
set -eu

vhost=${VHOST:-/}
prefix=$(printf '%s' "${FLASHSALE_PREFIX:-flashsale}" | sed 's/\./\\./g')

user() { # NAME PASSWORD CONFIGURE WRITE READ
    printf '%s\n' "$2" | rabbitmqctl --quiet add_user "$1" 2>/dev/null ||
        printf '%s\n' "$2" | rabbitmqctl --quiet change_password "$1"
    rabbitmqctl --quiet set_permissions --vhost "$vhost" "$1" "$3" "$4" "$5"
}

# amq.default is the exchange that leads to each queue by its name: processes prove by it that the
# queue confirms, and send past the fence what the outbox has kept.
user flashsale_serve "$SERVE_PASSWORD" \
    '^$' \
    "^($prefix\.purchases|amq\.default)\$" \
    '^$'

# The leader fences an epoch by bindings, holds locks by exclusive queues, and replaces a queue that
# stalls.
user flashsale_work "$WORK_PASSWORD" \
    "^$prefix\.(owner|purchases)(\..*)?\$" \
    "^($prefix\.(owner|purchases)(\..*)?|amq\.default)\$" \
    "^$prefix\.(owner|purchases)(\..*)?\$"

# An operator's command locks the dead letters while it holds them.
user flashsale_operator "$OPERATOR_PASSWORD" \
    "^$prefix\.purchases\.dead\.lock\$" \
    "^($prefix\.purchases|amq\.default)\$" \
    "^$prefix\.purchases(\.dead)?\$"
