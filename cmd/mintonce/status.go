package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/doctor"
	"github.com/mintonce/mintonce/internal/plain"
	"github.com/mintonce/mintonce/internal/statusview"
	"github.com/mintonce/mintonce/redisstore"
	"github.com/spf13/cobra"
)

const (
	// statusTimeout bounds one look at all tokens.
	statusTimeout = 10 * time.Second
	// listTimeout bounds how long the names of a store are looked for: they are
	// no more than a help.
	listTimeout = time.Second
	// watchPeriod is how often --watch looks.
	watchPeriod = time.Second
)

// statusOptions say how the status is shown.
type statusOptions struct{ json, watch bool }

func (a *app) statusCommand() *cobra.Command {
	var options statusOptions
	cmd := &cobra.Command{
		Use:   "status [NAME]",
		Short: "Show who minted a token, when and why, and what happens next",
		Long: `status shows the record of a token, or of every configured one: how long it
lives, who minted it, when and why, what happens next, who holds the lock,
doubts, failures, the day's mints, and the last events. It never shows a
token, mints nothing and needs no secret.

--json prints {"tokens": [...]}, which is also what GET /v1/status answers.
--watch draws it anew every second; where stdout is no terminal, it prints it
whenever something has happened.`,
		Example: `  mintonce status shop --store redis://127.0.0.1:6379/0
  mintonce status --config mintonce.yml --watch
  mintonce status shop --json | jq '.tokens[0].expires_in'`,
		Args:              oneName,
		ValidArgsFunction: a.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.settings(append(args, "")[0])
			if err != nil {
				return err
			}
			if err := a.ready(c, slog.LevelWarn); err != nil {
				return err
			}
			names := c.Names()
			if len(args) == 1 || len(names) == 0 {
				name, err := a.nameOf(cmd, args, c)
				if err != nil {
					return err
				}
				names = []string{name}
			}
			a.begun = true
			s, err := a.open(c, slog.LevelDebug)
			if err != nil {
				return err
			}
			defer s.close()
			if options.watch {
				return a.watchStatus(cmd.Context(), s, names, options)
			}
			return a.showStatus(cmd.Context(), s, names, options)
		},
	}
	cmd.Flags().BoolVar(&options.json, "json", false, "print JSON")
	cmd.Flags().BoolVar(&options.watch, "watch", false, "go on until interrupted")
	return cmd
}

func (s *session) overview(ctx context.Context, names []string) statusview.Overview {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	return statusview.Read(ctx, names, func(ctx context.Context, name string) (coordinator.Status, error) {
		status, err := coordinator.ReadStatus(ctx, s.store.Store, name, s.cfg.Traits(name))
		return status, s.explain(err)
	})
}

func (a *app) showStatus(ctx context.Context, s *session, names []string, options statusOptions) error {
	overview := s.overview(ctx, names)
	err := overview.Err()
	if err == nil && len(names) == 1 && !options.json {
		err = s.stranger(ctx, overview.Tokens[0].Status)
	}
	if err == nil || len(names) > 1 || options.json {
		if failed := writeOverview(a.stdout, overview, options); failed != nil {
			return failed
		}
	}
	if err != nil {
		return err
	}
	return nil
}

// stranger is an error for a name of which neither the store nor the config
// knows anything: it is probably a typing mistake.
func (s *session) stranger(ctx context.Context, status coordinator.Status) error {
	_, known := s.cfg.Tokens[status.Name]
	if known || status.Revision != 0 || len(s.cfg.Refused) > 0 {
		return nil
	}
	text := fmt.Sprintf("%s: no record in %s%s, and not in this config", status.Name, s.url, s.others(ctx, status.Name))
	if names := s.cfg.Names(); len(names) > 0 {
		text += ", which has " + few(names)
	}
	return errors.New(text)
}

// others says which records the store has instead of name, the most similar
// ones first; nothing if it cannot tell.
func (s *session) others(ctx context.Context, name string) string {
	lister, ok := coordinator.As[coordinator.Lister](s.store.Store)
	if !ok {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	names, all, err := lister.Names(ctx)
	names = slices.DeleteFunc(names, func(name string) bool { return name == doctor.Probe })
	switch {
	case err != nil || len(names) == 0 && !all:
		return ""
	case len(names) == 0 && s.store.Redis != nil:
		return ", which has none with the prefix " + cmp.Or(s.cfg.Prefix, redisstore.DefaultPrefix)
	case len(names) == 0:
		return ", which has none"
	}
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(alike(b, name), alike(a, name)) })
	text := ", which has " + few(names)
	switch {
	case !all:
		text += fmt.Sprintf(" (%d or more)", len(names))
	case few(names) != strings.Join(names, ", "):
		text += fmt.Sprintf(" (%d in all)", len(names))
	}
	return text
}

// alike is how many bytes two names have in common at their beginning.
func alike(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

func writeOverview(w io.Writer, overview statusview.Overview, options statusOptions) error {
	if !options.json {
		return overview.Write(w)
	}
	text, err := json.MarshalIndent(overview, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

// watchStatus shows the status until ctx ends. On a terminal it is drawn
// anew every second, and elsewhere when it differs in more than the time.
func (a *app) watchStatus(ctx context.Context, s *session, names []string, options statusOptions) error {
	ticker := time.NewTicker(watchPeriod)
	defer ticker.Stop()
	screen := isTerminal(a.stdout) && !options.json
	before := ""
	for {
		overview := s.overview(ctx, names)
		if ctx.Err() != nil {
			return nil
		}
		if now := fingerprint(overview); screen || now != before {
			before = now
			if err := a.redraw(overview, options, screen); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// redraw writes at once, so that a screen does not flicker.
func (a *app) redraw(overview statusview.Overview, options statusOptions, screen bool) error {
	const home, below = "\x1b[H\x1b[2J", "\x1b[0J"
	var page bytes.Buffer
	if screen {
		page.WriteString(home)
	}
	if err := writeOverview(&page, overview, options); err != nil {
		return err
	}
	if screen {
		page.WriteString(below)
	} else if !options.json {
		page.WriteString("\n")
	}
	_, err := page.WriteTo(a.stdout)
	return err
}

// fingerprint tells overviews apart by everything but what only the time
// changes.
func fingerprint(o statusview.Overview) string {
	text := ""
	for _, e := range o.Tokens {
		text += fmt.Sprint(e.Name, e.Status.Revision, e.Status.State, e.Status.LockHolder, len(e.Status.History), plain.Text(e.Err), "\n")
	}
	return text
}

// isTerminal reports whether w is a device that understands a redraw.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
