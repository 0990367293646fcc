// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/drogue-iot/ajour/pkg/auth"
	"github.com/drogue-iot/ajour/pkg/drogue"
)

// Credentials are those of a service that acts on its own behalf (contract AUTH-2).
type Credentials struct {
	Folder string `envconfig:"DROGUE_CREDENTIALS" default:"/drogue" desc:"folder with the files user and token: a user of the Drogue registry that the service acts as, and a personal access token of that; or, in their place, service-client, service-secret and issuer-url: a client of Drogue's issuer that has a service account; read for each call"`
}

// Identity returns the name of the user that the service acts as, for people to read, and what
// authenticates its calls to the device registry. A token or a secret that was replaced counts
// from the next call on. It is an error if the folder is not as it should be.
func (c Credentials) Identity(t Transport, caller *http.Client) (user string, _ drogue.Auth, err error) {
	_, err = os.Stat(filepath.Join(c.Folder, "user"))
	if !errors.Is(err, fs.ErrNotExist) {
		if _, err := c.read("token"); err != nil {
			return "", nil, err
		}
		if user, err = c.read("user"); err != nil {
			return "", nil, err
		}
		return user, c.basic, nil
	}
	who, err := c.client()
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: neither user and token nor service-client, service-secret and issuer-url are there", err)
	}
	if err != nil {
		return "", nil, err
	}
	if err := t.CheckURL("the file issuer-url of DROGUE_CREDENTIALS", who.Issuer); err != nil {
		return "", nil, err
	}
	tokens := auth.NewTokens(caller)
	return "service-account-" + who.ID, func(ctx context.Context, h http.Header) error {
		who, err := c.client()
		if err != nil {
			return err
		}
		token, err := tokens.Of(ctx, who)
		if err != nil {
			return err
		}
		return drogue.Bearer(token)(ctx, h)
	}, nil
}

func (c Credentials) basic(ctx context.Context, h http.Header) error {
	user, err := c.read("user")
	if err != nil {
		return err
	}
	token, err := c.read("token")
	if err != nil {
		return err
	}
	return drogue.Basic(user, token)(ctx, h)
}

func (c Credentials) client() (who auth.Client, err error) {
	for name, into := range map[string]*string{
		"service-client": &who.ID, "service-secret": &who.Secret, "issuer-url": &who.Issuer,
	} {
		if *into, err = c.read(name); err != nil {
			return auth.Client{}, err
		}
	}
	return who, nil
}

func (c Credentials) read(name string) (string, error) {
	data, err := os.ReadFile(filepath.Join(c.Folder, name)) //nolint:gosec // the operator says where it is
	if err != nil {
		return "", fmt.Errorf("DROGUE_CREDENTIALS: %w", err)
	}
	text := strings.TrimSpace(string(data))
	if text == "" {
		return "", fmt.Errorf("DROGUE_CREDENTIALS: the file %s of %s is empty", name, c.Folder)
	}
	return text, nil
}
