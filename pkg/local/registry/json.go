// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth is how deep the real decoder follows nested values (N5).
const maxDepth = 127

// member is one key of a JSON object, in the order of the text.
type member struct {
	key string
	raw json.RawMessage
}

// members splits a JSON object. Duplicate keys stay.
func members(raw json.RawMessage) ([]member, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	tok, err := dec.Token()
	if err != nil {
		return nil, err
	}
	if tok != json.Delim('{') {
		return nil, fmt.Errorf("invalid type: %s, expected a map", kind(raw))
	}
	var list []member
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, err
		}
		m := member{key: key.(string)} //nolint:forcetypeassert // the decoder accepts no other key
		if err := dec.Decode(&m.raw); err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	_, err = dec.Token()
	return list, err
}

// kind names a JSON value as the real decoder does.
func kind(raw json.RawMessage) string {
	switch raw = bytes.TrimSpace(raw); {
	case len(raw) == 0 || raw[0] == 'n':
		return "null"
	case raw[0] == '[':
		return "sequence"
	case raw[0] == '{':
		return "map"
	case raw[0] == '"':
		return "string " + string(raw)
	case raw[0] == 't' || raw[0] == 'f':
		return "boolean `" + string(raw) + "`"
	default:
		return "integer `" + string(raw) + "`"
	}
}

// checkJSON refuses what the real decoder refuses before it looks at fields.
func checkJSON(data []byte) error {
	if !utf8.Valid(data) {
		return errors.New("invalid unicode code point")
	}
	if loneSurrogate(data) {
		return errors.New("unexpected end of hex escape")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	depth := 0
	for {
		tok, err := dec.Token()
		switch {
		case errors.Is(err, io.EOF) && depth == 0: // nothing at all
			return errors.New("EOF while parsing a value")
		case err != nil:
			return fmt.Errorf("EOF while parsing or %w", err)
		}
		switch v := tok.(type) {
		case json.Delim:
			if v == '{' || v == '[' {
				depth++
			} else {
				depth--
			}
			if depth > maxDepth {
				return errors.New("recursion limit exceeded")
			}
		case json.Number:
			if f, err := v.Float64(); err != nil || math.IsInf(f, 0) {
				return errors.New("number out of range")
			}
		}
		if depth == 0 {
			break
		}
	}
	if rest, _ := io.ReadAll(
		io.MultiReader(dec.Buffered(), bytes.NewReader(data[dec.InputOffset():])),
	); len(
		bytes.TrimSpace(rest),
	) > 0 {
		return errors.New("trailing characters")
	}
	return nil
}

// loneSurrogate reports whether a text holds half of a surrogate pair, which is no character.
// The decoder of Go would take it for U+FFFD.
func loneSurrogate(data []byte) bool {
	return surrogate.Match(surrogatePair.ReplaceAll(escapedBackslash.ReplaceAll(data, []byte(" ")), []byte(" ")))
}

var (
	escapedBackslash = regexp.MustCompile(`\\\\`)
	surrogatePair    = regexp.MustCompile(`(?i)\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}`)
	surrogate        = regexp.MustCompile(`(?i)\\ud[89a-f]`)
)

// canonical rewrites a value as the database column does: keys by length, then
// bytewise, the last of duplicate keys wins, numbers as 64-bit integers or
// doubles (N3). Two values are equal if their canonical forms are.
func canonical(raw json.RawMessage) (json.RawMessage, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	write(&out, v)
	return out.Bytes(), nil
}

func write(out *bytes.Buffer, v any) {
	switch v := v.(type) {
	case map[string]any:
		out.WriteByte('{')
		for i, key := range columnOrder(v) {
			if i > 0 {
				out.WriteByte(',')
			}
			text(out, key)
			out.WriteByte(':')
			write(out, v[key])
		}
		out.WriteByte('}')
	case []any:
		out.WriteByte('[')
		for i, item := range v {
			if i > 0 {
				out.WriteByte(',')
			}
			write(out, item)
		}
		out.WriteByte(']')
	case json.Number:
		out.WriteString(number(v.String()))
	case string:
		text(out, v)
	case bool:
		out.WriteString(strconv.FormatBool(v))
	default:
		out.WriteString("null")
	}
}

func text(out *bytes.Buffer, s string) {
	data, err := marshal(s)
	if err != nil { // a string into memory: cannot happen
		panic(err)
	}
	out.Write(data)
}

// marshal is json.Marshal without the escaping of HTML, which the registry does
// not do either: "<" would be stored as a different text than the one that came.
func marshal(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// columnOrder returns the keys as a JSON column lists them: shorter ones first.
func columnOrder[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
	})
	return keys
}

// number rewrites a literal: integers of 64 bits stay, all else is a double in
// its shortest form, which shows that it is one unless it is as large as few integers are.
func number(s string) string {
	if !strings.ContainsAny(s, ".eE") && s != "-0" && isInteger(s) {
		return s
	}
	f, _ := strconv.ParseFloat(s, 64) // out of range was refused before
	if f == 0 {
		return "0.0"
	}
	// From there on the column keeps all digits, and no point.
	if plain := strconv.FormatFloat(f, 'f', -1, 64); math.Abs(f) >= 1e16 && isInteger(plain) {
		return plain
	}
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'e', -1, 64), "e")
	exp, _ := strconv.Atoi(exponent) // written by FormatFloat
	if point := exp + 1; point > -5 && point <= 16 {
		plain := strconv.FormatFloat(f, 'f', -1, 64)
		if !strings.Contains(plain, ".") {
			plain += ".0"
		}
		return plain
	}
	return mantissa + "e" + strconv.Itoa(exp)
}

func isInteger(s string) bool {
	_, signed := strconv.ParseInt(s, 10, 64)
	_, unsigned := strconv.ParseUint(s, 10, 64)
	return signed == nil || unsigned == nil
}
