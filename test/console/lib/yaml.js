// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Writes the values that stand on the input, one in a line, as YAML, with a line "---" after each.

import { createInterface } from 'node:readline'
import { yaml } from '../../../console/web/yaml.js'

for await (const line of createInterface({ input: process.stdin })) process.stdout.write(yaml(JSON.parse(line)) + '---\n')
