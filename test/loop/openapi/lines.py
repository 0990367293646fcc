# SPDX-FileCopyrightText: The Drogue IoT Ajour authors
# SPDX-License-Identifier: Apache-2.0

import json

import schemathesis


@schemathesis.deserializer("application/x-ndjson")
def lines(ctx, response):
    """Return the last line of a log: all of them have one schema."""
    return [json.loads(line) for line in response.content.splitlines()][-1]


@schemathesis.deserializer("application/yaml")
def document(ctx, response):
    return response.content.decode()
