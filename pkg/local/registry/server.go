// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"go.etcd.io/bbolt"

	"github.com/drogue-iot/ajour/pkg/internal/boltfile"
)

const (
	registryPath = "/api/registry/v1alpha1/apps"
	adminPath    = "/api/admin/v1alpha1/apps"
	// maxBody is the real service's limit of a JSON body.
	maxBody = 65536
)

// Options configure a [Server].
type Options struct {
	Credentials Credentials
	// Publish hands an event to the sink and returns when it took it. Events
	// are dropped if it is nil.
	Publish func(context.Context, cloudevents.Event) error
	// Resend is how often the outbox is looked at, a second if zero. The real
	// service takes 60 seconds.
	Resend time.Duration
	// Log is silent if nil.
	Log *slog.Logger
}

// Server is the registry. It is an http.Handler for the paths below
// /api/registry and /api/admin.
type Server struct {
	db      *bbolt.DB
	options Options
}

// Open opens the registry whose state is in the file, which is made if it does
// not exist.
func Open(path string, o Options) (*Server, error) {
	if o.Resend == 0 {
		o.Resend = time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	db, err := boltfile.Open(path, bucketApplications, bucketDevices, bucketAliases, bucketOutbox)
	if err != nil {
		return nil, err
	}
	if err := db.Update(func(tx *bbolt.Tx) error { return transaction{tx}.indexAliases() }); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), db.Close())
	}
	return &Server{db: db, options: o}, nil
}

// Close closes the file. No request may be under way.
func (s *Server) Close() error { return s.db.Close() }

// call is one request, authenticated and with its path taken apart.
type call struct {
	*http.Request
	user   User
	app    string
	device string
	body   []byte
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if crossOrigin(w, r) {
		return
	}
	handlers, c := s.route(r)
	if handlers == nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	handle, ok := handlers[r.Method]
	if !ok {
		w.Header().Set("Allow", handlers.allowed())
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	if err := s.prepare(w, c); err != nil {
		refuse(w, err)
		return
	}
	if err := handle(w, c); err != nil {
		refuse(w, err)
	}
}

// crossOrigin lets every origin in, as the real service does, and reports whether it answered
// a browser's preflight.
func crossOrigin(w http.ResponseWriter, r *http.Request) bool {
	h := w.Header()
	h.Set("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
	h.Set("Access-Control-Allow-Credentials", "true")
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", "POST, GET, PUT, HEAD, TRACE, OPTIONS, DELETE, CONNECT, PATCH")
	h.Set("Access-Control-Allow-Headers", r.Header.Get("Access-Control-Request-Headers"))
	h.Set("Access-Control-Max-Age", "3600")
	return true
}

type handlers map[string]func(http.ResponseWriter, *call) error

// allowed lists the methods in the order of the real service.
func (h handlers) allowed() string {
	var list []string
	for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodPut, http.MethodDelete} {
		if h[method] != nil {
			list = append(list, method)
		}
	}
	return strings.Join(list, ", ")
}

// route takes the path apart by hand: names may hold "..", "/" (as %2F) and
// broken escapes, which are taken literally (contract 1.10).
func (s *Server) route(r *http.Request) (handlers, *call) {
	c := &call{Request: r}
	path := r.URL.EscapedPath()
	if rest, ok := strings.CutPrefix(path, adminPath+"/"); ok {
		app, what, _ := strings.Cut(rest, "/")
		if c.app = unescape(app); what == "members" {
			return handlers{http.MethodGet: s.getMembers, http.MethodPut: s.putMembers}, c
		}
		return nil, c
	}
	rest, ok := strings.CutPrefix(path, registryPath)
	segments := strings.Split(rest, "/")
	for i := range segments {
		segments[i] = unescape(segments[i])
	}
	switch {
	case !ok || (rest != "" && (segments[0] != "" || segments[len(segments)-1] == "" || segments[1] == "")):
		return nil, c
	case len(segments) == 1:
		return handlers{http.MethodGet: s.listApplications, http.MethodPost: s.postApplication}, c
	case len(segments) == 2:
		c.app = segments[1]
		return handlers{
			http.MethodGet:    s.getApplication,
			http.MethodPut:    s.putApplication,
			http.MethodDelete: s.deleteApplication,
		}, c
	case len(segments) == 3 && segments[2] == "devices":
		c.app = segments[1]
		return handlers{http.MethodGet: s.listDevices, http.MethodPost: s.postDevice}, c
	case len(segments) == 4 && segments[2] == "devices":
		c.app, c.device = segments[1], segments[3]
		return handlers{http.MethodGet: s.getDevice, http.MethodPut: s.putDevice, http.MethodDelete: s.deleteDevice}, c
	default:
		return nil, c
	}
}

func unescape(s string) string {
	if plain, err := url.PathUnescape(s); err == nil {
		return plain
	}
	return s
}

// prepare authenticates and reads the body within its limit.
func (s *Server) prepare(w http.ResponseWriter, c *call) (err error) {
	if c.user, err = s.options.Credentials.authenticate(c.Request); err != nil {
		return err
	}
	if strings.ContainsRune(c.app+c.device, 0) {
		return errNULName
	}
	if c.Method == http.MethodPost || c.Method == http.MethodPut {
		if !isJSON(c.Header) {
			return errText("Content type error")
		}
		if c.ContentLength > maxBody {
			return tooLarge(
				w,
				"JSON payload ("+strconv.FormatInt(c.ContentLength, 10)+" bytes) is larger than allowed (limit: 65536 bytes).",
			)
		}
	}
	body := io.Reader(c.Body)
	if c.Header.Get("Content-Encoding") == "gzip" {
		if body, err = gzip.NewReader(body); err != nil {
			return errText("Json deserialize error: " + err.Error())
		}
	}
	c.body, err = io.ReadAll(io.LimitReader(body, maxBody+1))
	if err == nil && len(c.body) > maxBody {
		return tooLarge(w, "JSON payload has exceeded limit (65536 bytes).")
	}
	return err
}

// isJSON reports whether a body is read as JSON: any type that is called json, or is written
// in it (N5).
func isJSON(h http.Header) bool {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	_, subtype, _ := strings.Cut(media, "/")
	return err == nil && (subtype == "json" || strings.HasSuffix(subtype, "+json"))
}

// errWritten says that the answer is already on its way.
var errWritten = errors.New("written")

func tooLarge(w http.ResponseWriter, message string) error {
	http.Error(w, message, http.StatusRequestEntityTooLarge)
	return errWritten
}

// update runs change in a transaction, and then sends the events that it left.
// The answer waits for them, and a failure to send is reported although the
// change is there to stay (contract 1.12, X10).
func (s *Server) update(ctx context.Context, change func(transaction) ([]uint64, error)) error {
	var rows []uint64
	err := s.db.Update(func(tx *bbolt.Tx) (err error) {
		rows, err = change(transaction{tx})
		return err
	})
	if err != nil {
		return err
	}
	if err := s.send(ctx, rows); err != nil {
		s.options.Log.WarnContext(ctx, "change event is left in the outbox", "error", err)
		return errSender
	}
	return nil
}

func (s *Server) view(f func(transaction) error) error {
	return s.db.View(func(tx *bbolt.Tx) error { return f(transaction{tx}) })
}

func reply(w http.ResponseWriter, v any) error {
	data, err := marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(data)
	return nil
}
