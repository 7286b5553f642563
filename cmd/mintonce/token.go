package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

// defaultTimeout is how long the commands for one token wait.
const defaultTimeout = 30 * time.Second

func (a *app) tokenCommand() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "token [NAME]",
		Short: "Print a token that is valid now, and nothing else",
		Long: `token prints the token on stdout. If there is none that is usable, it mints
one, or waits for the process that does; a token that is not configured here
is only read. A refresh that is due is done before the command ends, after the
token was printed. NAME may be left out if only one token is configured.`,
		Example: `  mintonce token shop --config mintonce.yml
  mintonce token shop --store redis://127.0.0.1:6379/0 --timeout 5s
  TOKEN=$(mintonce token shop)`,
		Args:              oneName,
		ValidArgsFunction: a.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.oneShot(cmd, args, timeout, func(ctx context.Context, s *shot) error {
				token, err := s.coordinator.Token(ctx)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(a.stdout, token.Value)
				return err
			})
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", defaultTimeout, "how long to wait at most")
	return cmd
}
