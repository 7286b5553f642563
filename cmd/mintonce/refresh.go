package main

import (
	"context"
	"fmt"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/spf13/cobra"
)

func (a *app) refreshCommand() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "refresh [NAME]",
		Short: "Refresh a token if that is due, and say what was done",
		Long: `refresh does once what serve does all the time, for cron or a Kubernetes
CronJob: if the token is missing, due or in doubt, it mints one, or waits for
the process that does. Run it every few minutes: WeChat's tokens are due
during the last half hour of their two hours, those of stable_token in the
last five minutes.`,
		Example: `  mintonce refresh shop --config mintonce.yml
  */2 * * * * mintonce refresh shop --config /etc/mintonce.yml`,
		Args:              oneName,
		ValidArgsFunction: a.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.oneShot(cmd, args, timeout, a.refresh)
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", defaultTimeout, "how long to wait at most")
	return cmd
}

func (a *app) refresh(ctx context.Context, s *shot) error {
	if err := s.configured("refresh"); err != nil {
		return err
	}
	before, err := s.status(ctx)
	if err != nil {
		return err
	}
	token, err := s.coordinator.Refresh(ctx)
	if err != nil {
		if token.Value != "" {
			return fmt.Errorf("not refreshed, generation %d stays (%s): %w", token.Generation, left(token), err)
		}
		return err
	}
	after, err := s.status(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "%s: %s; %s; %s\n", s.name, s.refreshed(before, after), left(token), after.Next)
	return err
}

// refreshed says what became of the token.
func (s *shot) refreshed(before, after coordinator.Status) string {
	switch did, why := s.outcome(); {
	case did == coordinator.EventConfirmed:
		return fmt.Sprintf("the provider gave generation %d again (%s)", after.Generation, why)
	case did != "":
		return fmt.Sprintf("minted generation %d (%s)", after.Generation, why)
	case after.Generation > before.Generation:
		return fmt.Sprintf("%s minted generation %d (%s)", after.MintedBy, after.Generation, after.Reason)
	default:
		return fmt.Sprintf("nothing to do, generation %d", after.Generation)
	}
}
