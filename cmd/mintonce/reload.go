package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/mintonce/mintonce/internal/config"
	"github.com/mintonce/mintonce/internal/filewatch"
	"github.com/mintonce/mintonce/internal/plain"
	"github.com/mintonce/mintonce/internal/tlsfiles"
)

const (
	// storeAnswers is how long the store may take to show that it is there.
	storeAnswers = 2 * time.Second
	// laterPause is when a config is tried again that had to wait for the store.
	laterPause = 5 * time.Second
	// enough bounds the names and problems in one go.
	enough = 10
	// mostFolders bounds the folders of secrets that are watched.
	mostFolders = 64
)

// loader reads the config anew, for a process that uses the one before.
type loader func(before *config.Config) (*config.Config, error)

// reloader follows the config file while serve runs.
type reloader struct {
	*fleet
	file    string
	load    loader
	watcher *filewatch.Watcher // nil if the system has none to give
	hangup  chan os.Signal
	tls     *tlsfiles.Server // nil without TLS
	differ  string           // the keys that were warned of last
	bad     bool             // the config was refused last
	refused string           // what was said last of a certificate that cannot be used

	keysRefused string // what was said last of seal keys that cannot be used
}

// newReloader begins to watch; nothing that happens from then on is missed.
func newReloader(f *fleet, e *endpoint, file string, load loader) *reloader {
	r := &reloader{fleet: f, file: file, load: load, hangup: make(chan os.Signal, 1)}
	if e != nil {
		r.tls = e.tls
	}
	signal.Notify(r.hangup, syscall.SIGHUP)
	var err error
	if r.watcher, err = filewatch.New(); err != nil {
		r.log.Warn("changes of the config are noticed at SIGHUP only", "reason", plain.Text(err))
	}
	r.watch()
	return r
}

func (r *reloader) close() {
	signal.Stop(r.hangup)
	if r.watcher != nil {
		r.watcher.Close()
	}
}

// run reads the config again at SIGHUP and when its files have changed, until
// ctx ends.
func (r *reloader) run(ctx context.Context) {
	var changes <-chan struct{}
	if r.watcher != nil {
		changes = r.watcher.Changes()
	}
	later := time.NewTimer(0) // the config may have changed while it was being read
	defer later.Stop()
	for {
		asked := false
		select {
		case <-ctx.Done():
			return
		case <-r.hangup:
			asked = true
		case <-changes:
		case <-later.C:
		}
		reloaded, renewed := r.reload(ctx, asked), r.renew(asked)
		r.reseal(asked)
		if !reloaded || !renewed {
			later.Reset(laterPause)
		}
		r.watch()
	}
}

// reload reads the config and makes the difference. asked is for a person who
// wants an answer even if there is none. It returns false if it must be tried
// again.
func (r *reloader) reload(ctx context.Context, asked bool) bool {
	c, err := r.read()
	var d *change
	if err == nil {
		d, err = r.compare(c)
	}
	if err != nil {
		r.tell(asked, slog.LevelError, "config refused: the one before stays in use", err)
		r.bad = true
		return true
	}
	if r.bad {
		r.log.Info("config is good again")
		r.bad = false
	}
	others := !reflect.DeepEqual(r.config.Clients, c.Clients) // who may do what has changed
	if err := r.apply(ctx, c, d); err != nil {
		var missing *storeMissing
		waits := errors.As(err, &missing)
		text := "config not in use yet: changed tokens wait for the store"
		if !waits {
			text = "config in use in part"
		}
		r.tell(asked, slog.LevelWarn, text, err)
		return !waits
	}
	r.report(c, d, asked || others)
	return true
}

// read returns a config that may replace the one in use.
func (r *reloader) read() (*config.Config, error) {
	c, err := r.load(r.config)
	if err != nil {
		return nil, err
	}
	r.keepFixed(c)
	if err := c.Check(); err != nil {
		return nil, err
	}
	if len(c.Tokens) == 0 {
		return nil, &config.Error{Key: r.file, Problem: "holds no tokens", Remedy: "stop serve to keep none"}
	}
	return c, nil
}

// keepFixed takes over what cannot change while the process runs, and warns of
// what was changed there.
func (r *reloader) keepFixed(c *config.Config) {
	var differ []string
	for _, fixed := range []struct {
		key       string
		old, next *string
	}{
		{"store", &r.config.Store, &c.Store}, {"fallback", &r.config.Fallback, &c.Fallback}, {"prefix", &r.config.Prefix, &c.Prefix},
		{"instance", &r.config.Instance, &c.Instance}, {"listen", &r.config.Listen, &c.Listen}, {"listen_mode", &r.config.ListenMode, &c.ListenMode},
		{"tls.cert_file", &r.config.TLS.CertFile, &c.TLS.CertFile}, {"tls.key_file", &r.config.TLS.KeyFile, &c.TLS.KeyFile}, {"tls.client_ca_file", &r.config.TLS.ClientCAFile, &c.TLS.ClientCAFile},
		{"seal.key_file", &r.config.Seal.KeyFile, &c.Seal.KeyFile}, {"log_level", &r.config.LogLevel, &c.LogLevel}, {"log_format", &r.config.LogFormat, &c.LogFormat},
	} {
		if *fixed.old != *fixed.next {
			differ = append(differ, fixed.key)
			*fixed.next = *fixed.old
		}
	}
	keys := strings.Join(differ, ",")
	if keys != "" && keys != r.differ {
		r.log.Warn("changed in the config, and in use after a restart only", "keys", keys)
	}
	r.differ = keys
}

// renew reads the certificate again. It returns false if that must be tried
// again, because half of a pair has been replaced so far.
func (r *reloader) renew(asked bool) bool {
	if r.tls == nil {
		return true
	}
	changed, err := r.tls.Reload()
	if err != nil {
		if text := plain.Text(r.config.WrongTLS(err)); text != r.refused || asked {
			r.log.Error("certificate refused: the one before stays in use", "problem", text, "until", r.tls.Leaf().NotAfter.UTC().Format(time.RFC3339))
			r.refused = text
		}
		return false
	}
	r.refused = ""
	if changed {
		r.log.Info("certificate replaced", "until", r.tls.Leaf().NotAfter.UTC().Format(time.RFC3339))
	}
	return true
}

// tell logs why a config is not in use, once for the same reason.
func (r *reloader) tell(asked bool, level slog.Level, text string, err error) {
	problem := plain.Text(err)
	if known := r.told[text+problem]; known && !asked {
		level = slog.LevelDebug
	}
	r.told = map[string]bool{text + problem: true}
	r.log.Log(context.Background(), level, text, "problem", problem)
}

// report says what has changed, in one line, and what is wrong with the rest.
func (f *fleet) report(c *config.Config, d *change, asked bool) {
	f.complain(d)
	level := slog.LevelInfo
	if d.none() && !asked {
		level = slog.LevelDebug
	}
	var names []string
	for _, part := range []struct {
		mark  string
		names []string
	}{{"+", d.added}, {"-", d.removed}, {"~", d.changed}} {
		for _, name := range part.names[:min(len(part.names), enough)] {
			names = append(names, part.mark+name)
		}
	}
	attrs := []any{"tokens", len(f.known), "added", len(d.added), "removed", len(d.removed), "changed", len(d.changed), "clients", len(c.Clients)}
	if len(names) > 0 {
		attrs = append(attrs, "names", strings.Join(names, ","))
	}
	f.log.Log(context.Background(), level, "config read again", attrs...)
}

// complain logs what is wrong with single tokens and files, unless it was said
// before.
func (f *fleet) complain(d *change) {
	told := make(map[string]bool)
	more := 0
	say := func(level slog.Level, text, problem string) {
		key := text + problem
		told[key] = true
		switch {
		case f.told[key]:
		case len(told) > enough:
			more++
		case problem == "":
			f.log.Log(context.Background(), level, text)
		default:
			f.log.Log(context.Background(), level, text, "problem", problem)
		}
	}
	for _, err := range d.problems {
		say(slog.LevelError, "left out of the config: its tokens stay as they were", plain.Text(err))
	}
	for _, warning := range d.warnings {
		say(slog.LevelWarn, warning, "")
	}
	if more > 0 {
		f.log.Warn(fmt.Sprintf("and %s like these", plain.Count(more, "more problem")))
	}
	f.told = told
}

// watch watches what the config in use was read from.
func (r *reloader) watch() {
	if r.watcher == nil {
		return
	}
	only := func(path string) filewatch.Interest {
		base := filepath.Base(path)
		return filewatch.Interest{Folder: filepath.Dir(path), Matches: func(name string) bool { return name == base }}
	}
	var interests []filewatch.Interest
	for _, file := range []string{r.file, r.config.TLS.CertFile, r.config.TLS.KeyFile, r.config.TLS.ClientCAFile, r.config.Seal.KeyFile} {
		if file == "" {
			continue
		}
		interests = append(interests, only(file))
		if behind, err := filepath.EvalSymlinks(file); err == nil && behind != file {
			interests = append(interests, only(behind))
		}
	}
	if from := r.config.TokensFrom; from != "" {
		folder, pattern := config.TokenFolder(from)
		interests = append(interests, filewatch.Interest{Folder: folder, Matches: func(name string) bool { return config.MatchTokenFile(pattern, name) }})
	}
	for _, folder := range r.secretFolders() {
		interests = append(interests, filewatch.Interest{Folder: folder})
	}
	if err := r.watcher.Watch(interests); err != nil {
		r.log.Debug("a folder of the config is not watched", "reason", plain.Text(err))
	}
}

// secretFolders are the folders of the secrets, if they are few.
func (r *reloader) secretFolders() []string {
	folders := make(map[string]bool)
	for _, t := range r.config.Tokens {
		if file := t.SecretFile(); file != "" {
			folders[filepath.Dir(file)] = true
		}
		if len(folders) > mostFolders {
			return nil
		}
	}
	var all []string
	for folder := range folders {
		all = append(all, folder)
	}
	slices.Sort(all)
	return all
}
