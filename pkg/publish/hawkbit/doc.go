// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package hawkbit publishes a firmware to Eclipse hawkBit: as a software module in a
// distribution set, which it assigns to a target.
package hawkbit
