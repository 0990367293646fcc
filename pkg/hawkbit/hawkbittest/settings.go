// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package hawkbittest

import (
	"fmt"
	"net/http"
)

func (s *Server) getSetting(r *http.Request) (int, any, error) {
	v, ok := s.settings[r.PathValue("key")]
	if !ok {
		return 0, nil, &fault{
			http.StatusBadRequest,
			packages + "InvalidTenantConfigurationKeyException",
			"configKeyInvalid",
			fmt.Sprintf("The given configuration key %s does not exist.", r.PathValue("key")),
			nil,
		}
	}
	return http.StatusOK, map[string]any{"value": v, "global": false}, nil
}

// putSetting changes the configuration of the tenant (HBW-110).
func (s *Server) putSetting(r *http.Request) (int, any, error) {
	var in struct{ Value any }
	if err := decode(r, &in); err != nil {
		return 0, nil, err
	}
	if _, _, err := s.getSetting(r); err != nil {
		return 0, nil, err
	}
	switch was := s.settings[r.PathValue("key")]; {
	case in.Value == nil:
		return 0, nil, &fault{status: http.StatusInternalServerError, message: "Internal Server Error"}
	case fmt.Sprintf("%T", in.Value) != fmt.Sprintf("%T", was):
		return 0, nil, notReadable()
	}
	s.settings[r.PathValue("key")] = in.Value
	if s.old() {
		return s.getSetting(r)
	}
	return http.StatusNoContent, nil, nil
}
