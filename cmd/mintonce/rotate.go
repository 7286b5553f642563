package main

import (
	"context"
	"fmt"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/spf13/cobra"
)

func (a *app) rotateCommand() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "rotate [NAME]",
		Short: "Replace a token now, though it may be good",
		Long: `rotate is for an operator whose token has leaked, or whose secret has changed:
it mints a new token, which the whole fleet takes over within seconds. It does
not wait for a back-off. It is rationed: 30 seconds apart, and for
stable_token 18 times a day. At WeChat the old token lives on for five
minutes; a second rotation 30 seconds later ends it at once. The history
tells which user of which machine asked for it.`,
		Example:           `  mintonce rotate shop --config mintonce.yml`,
		Args:              oneName,
		ValidArgsFunction: a.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.oneShot(cmd, args, timeout, a.rotate)
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", defaultTimeout, "how long to wait at most")
	return cmd
}

func (a *app) rotate(ctx context.Context, s *shot) error {
	if err := s.configured("rotate"); err != nil {
		return err
	}
	before, err := s.status(ctx)
	if err != nil {
		return err
	}
	token, err := s.coordinator.Rotate(coordinator.WithActor(ctx, user()))
	if err != nil {
		return fmt.Errorf("not rotated: %w", err)
	}
	if token.Generation <= before.Generation {
		return fmt.Errorf("not rotated: the provider gave generation %d again", token.Generation)
	}
	_, err = fmt.Fprintf(a.stdout, "%s: generation %d replaces %d; %s\n", s.name, token.Generation, before.Generation, left(token))
	return err
}
