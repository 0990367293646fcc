// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package auth turns the bearer token of a call into a [Principal], and knows
// whether that principal may trigger builds.
//
// Tokens are access tokens of one OIDC issuer (RFC 7519, 8725, 9068). The
// package never fetches anything that a token names (jku, x5u), never takes a
// key from a token (jwk), and accepts only the asymmetric algorithms that it is
// configured with. Personal access tokens of Drogue carry no roles (contract
// 2.3), so they can never be enough and are not accepted.
package auth
