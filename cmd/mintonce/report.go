package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/wechat"
	"github.com/spf13/cobra"
)

// maxToken bounds what is read from stdin. Tokens have at most 32 KiB.
const maxToken = 64 << 10

func (a *app) reportCommand() *cobra.Command {
	var timeout time.Duration
	var fromStdin bool
	var code int
	cmd := &cobra.Command{
		Use:   "report [NAME] --token-stdin",
		Short: "Report that the provider rejected a token",
		Long: `report reads from stdin the token that the provider rejected, and has it
replaced if it is still the current one and at least 30 seconds old. A late
report, of a token that was replaced meanwhile, costs nothing. It says what it
did:

  acted            the token was the current one; a new one is there
  late             it was replaced already: use the current one
  too young        it is the current one, and too young to be the cause
  vouched for      it is the current one, and the provider gave it out again
                   when it was asked because of such a rejection
  unknown          it is not a token of this name
  not a rejection  the code says nothing of the token`,
		Example: `  mintonce report shop --token-stdin --code 40001 < rejected.txt
  printf %s "$TOKEN" | mintonce report shop --token-stdin`,
		Args:              oneName,
		ValidArgsFunction: a.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !fromStdin {
				return misused("report reads the token from stdin, because others can see arguments: add --token-stdin")
			}
			value, err := readToken(a.stdin)
			if err != nil {
				return err
			}
			return a.oneShot(cmd, args, timeout, func(ctx context.Context, s *shot) error {
				return a.report(ctx, s, value, code)
			})
		},
	}
	cmd.Flags().BoolVar(&fromStdin, "token-stdin", false, "read the rejected token from stdin (needed)")
	cmd.Flags().IntVar(&code, "code", 0, "the provider's error `CODE`, such as 40001")
	cmd.Flags().DurationVar(&timeout, "timeout", defaultTimeout, "how long to wait at most")
	return cmd
}

func readToken(from io.Reader) (string, error) {
	data, err := io.ReadAll(io.LimitReader(from, maxToken+1))
	value := strings.TrimSpace(string(data))
	switch {
	case err != nil:
		return "", fmt.Errorf("stdin: %w", err)
	case len(data) > maxToken:
		return "", misused("stdin has more than %d bytes: give it the rejected token alone", maxToken)
	case value == "":
		return "", misused("stdin is empty: give it the rejected token")
	}
	return value, nil
}

func (a *app) report(ctx context.Context, s *shot, value string, code int) error {
	if code != 0 && !wechat.IsRejected(code) {
		_, err := fmt.Fprintf(a.stdout, "%s: not a rejection: code %d says nothing of the token; nothing was changed\n", s.name, code)
		return err
	}
	verdict, err := s.coordinator.Reject(coordinator.WithActor(ctx, user()), value, &coordinator.RejectedError{Code: code})
	if err != nil {
		switch {
		case verdict == coordinator.Acted && errors.Is(err, coordinator.ErrNeverMint):
			return errors.New("the token is in doubt now, and no other process has replaced it yet: run mintonce serve for it, or say where it comes from (--config, or --wechat-appid)")
		case verdict == coordinator.Acted:
			return fmt.Errorf("the token is in doubt, and there is no new one yet: %w", err)
		}
		return err
	}
	if now, err := s.coordinator.Peek(); verdict == coordinator.Acted && err == nil && now.Value == value {
		verdict = coordinator.Vouched // the very token came back
	}
	text := map[coordinator.Verdict]string{
		coordinator.Acted:    "acted: a new token is there",
		coordinator.Late:     "late: it was replaced already; use the current one",
		coordinator.TooYoung: "too young: it is the current token, and was minted so recently that the rejection more likely has another cause",
		coordinator.Vouched:  "vouched for: it is the current token, and the provider gave out that very token again when it was asked because of a rejection; look at the call that was rejected",
		coordinator.Unknown:  "unknown: it is not a token of this name, or one from long ago",
	}[verdict]
	_, err = fmt.Fprintf(a.stdout, "%s: %s\n", s.name, text)
	return err
}
