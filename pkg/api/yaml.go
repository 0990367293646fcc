// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"errors"

	yamlv3 "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"

	"github.com/drogue-iot/ajour/pkg/build"
)

// toJSON reads YAML, of which JSON is a part. Aliases are refused: some hundred bytes of them stand for
// gigabytes.
func toJSON(body []byte) ([]byte, error) {
	var document yamlv3.Node
	err := yamlv3.Unmarshal(body, &document)
	if err == nil && hasAlias(&document) {
		err = errors.New("it has aliases, which are not read: write out what they stand for")
	}
	var data []byte
	if err == nil {
		data, err = yaml.YAMLToJSONStrict(body)
	}
	if err != nil {
		return nil, invalid("The body cannot be read as YAML or JSON: %s", build.Clean(err.Error()))
	}
	return data, nil
}

func hasAlias(n *yamlv3.Node) bool {
	if n.Kind == yamlv3.AliasNode || n.Anchor != "" {
		return true
	}
	for _, c := range n.Content {
		if hasAlias(c) {
			return true
		}
	}
	return false
}
