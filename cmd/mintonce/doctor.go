package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/config"
	"github.com/mintonce/mintonce/internal/doctor"
	"github.com/mintonce/mintonce/internal/plain"
	"github.com/spf13/cobra"
)

func (a *app) doctorCommand() *cobra.Command {
	var live bool
	cmd := &cobra.Command{
		Use:   "doctor [NAME]",
		Short: "Check config, store and provider, and say what to do",
		Long: `doctor checks the config and its secrets, the HTTP API (its address, its
certificate, what its clients may do), the store (reachable, writable, the
eviction policy, persistence and clock of Redis, what its user may do), the
records of the tokens, and whether the provider can be reached. It mints
nothing. To try the store, it writes a record of its own, called
mintonce.doctor.

With --live, it also asks the provider for each token whose mint returns the
one that is there, as stable_token and WeCom do: whether the secret is right,
and which address is missing on the IP whitelist.

Each line begins with ok, warn or fail. It exits with 1 if any fails.`,
		Example: `  mintonce doctor --config mintonce.yml
  mintonce doctor shop --live --store redis://127.0.0.1:6379/0`,
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
			if len(args) == 1 {
				name, err := a.nameOf(cmd, args, c)
				if err != nil {
					return err
				}
				names = []string{name}
			}
			a.begun = true
			report := doctor.NewReport(a.stdout)
			a.examine(cmd.Context(), report, c, names, live)
			if n := report.Failed(); n > 0 {
				return fmt.Errorf("doctor: %s failed, see above", plain.Count(n, "check"))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&live, "live", false, "also ask the provider, with the secrets")
	return cmd
}

// examine runs all checks. What one of them needs is checked before.
func (a *app) examine(ctx context.Context, report *doctor.Report, c *config.Config, names []string, live bool) {
	ok := func(about, text string) { report.Add(doctor.Finding{Level: doctor.OK, About: about, Text: text}) }
	fail := func(about string, err error) {
		report.Add(doctor.Finding{Level: doctor.Fail, About: about, Text: err.Error()})
	}
	where := a.flags.config
	if where == "" {
		where = "flags and variables"
	}
	ok("config", where+": "+plain.Count(len(c.Tokens), "token")+", "+plain.Count(len(c.Clients), "client"))
	for _, err := range c.Refused {
		fail("token file", err)
	}

	if len(c.Refused) == 0 {
		report.Clients(c) // with tokens left out, half of what it says would be wrong
	}
	report.Listen(ctx, c)
	report.TLS(c)

	traits := make(map[string]coordinator.Traits)
	providers, tried := make(map[string]bool), make(map[string]coordinator.Source)
	for _, name := range names {
		if _, known := c.Tokens[name]; !known {
			continue
		}
		if api := c.API(name); api != "" {
			providers[api] = true
		}
		traits[name] = c.Traits(name)
		source, warning, err := c.Source(name, nil)
		switch {
		case err != nil:
			fail("secret", err)
		case c.Tokens[name].Ticket != nil:
			ok("ticket", name+" is got with the token "+c.Tokens[name].Ticket.Of)
		case warning != "":
			report.Add(doctor.Finding{Level: doctor.Warn, About: "secret", Text: warning})
		default:
			ok("secret", "that of "+name+" can be read")
		}
		if err == nil {
			traits[name] = source.Traits()
			if live && c.Tokens[name].Ticket == nil {
				tried[name] = source
			}
		}
	}
	a.examineStores(ctx, report, c, names, traits)
	for api := range providers {
		report.Provider(ctx, api)
	}
	for _, name := range slices.Sorted(maps.Keys(tried)) {
		report.Live(ctx, name, tried[name])
	}
}

func (a *app) examineStores(ctx context.Context, report *doctor.Report, c *config.Config, names []string, traits map[string]coordinator.Traits) {
	s, err := a.open(c, slog.LevelDebug)
	if err != nil {
		report.Add(doctor.Finding{Level: doctor.Fail, About: "store", Text: err.Error()})
		return
	}
	defer s.close()
	if len(s.sealed) > 0 {
		_, warning, _ := c.SealKeys()
		report.Seal(s.sealed[0].Keys(), warning)
	}
	if c.Fallback != "" {
		report.Fallback(c.Fallback)
	}
	report.Advise = s.advise
	if !report.Store(ctx, s.url, s.store) {
		return
	}
	for _, name := range names {
		report.Record(ctx, name, s.store.Store, traits[name])
	}
}
