package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/mintonce/mintonce/internal/config"
	"github.com/mintonce/mintonce/internal/plain"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2 // wrong usage or config: trying again is no use
)

// app is one run of the command.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	flags          flags
	origins        map[string]string // of the flags that were given: --store or MINTONCE_STORE
	log            *slog.Logger
	begun          bool // the usage is right: from now on, an error is a failure
}

// usageError is a mistake in how the command is called.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func misused(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// run runs the command and returns its exit code. stdout gets results only, and
// an error is one line on stderr.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr, log: slog.New(slog.DiscardHandler)}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	fmt.Fprintln(stderr, "mintonce: "+plain.Text(err))
	var wrong *config.Error
	var misused *usageError
	if !a.begun || errors.As(err, &wrong) || errors.As(err, &misused) {
		return exitUsage
	}
	return exitFailed
}

// root is the command without a subcommand.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "mintonce",
		Short: "Many replicas, one token, minted once",
		Long: `mintonce keeps provider tokens, such as WeChat's access_token, fresh for many
replicas: one of them mints, all of them use the same token.

Settings come from flags, from variables (MINTONCE_STORE for --store), from
the file given with --config, and from defaults; the first that says something
counts. Secrets come from files or variables, never from flags; the password
of Redis from MINTONCE_STORE_PASSWORD, or as part of the store's URL.

Exit codes: 0 done, 1 failed, 2 wrong usage or config.`,
		Example: `  mintonce sandbox                       # a fake WeChat, to try everything
  mintonce serve --config mintonce.yml   # keep tokens fresh
  mintonce token shop                    # print a token`,
		Args: cobra.ArbitraryArgs,

		DisableFlagsInUseLine: true,
		SilenceErrors:         true,
		SilenceUsage:          true,
		Version:               version(),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return misused("there is no command %.40q%s: see mintonce --help", args[0], didYouMean(cmd.SuggestionsFor(args[0])))
		},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return a.readVariables(cmd) },
	}
	root.SetVersionTemplate("mintonce {{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return misused("%s: see %s --help", err, cmd.CommandPath())
	})
	root.SuggestionsMinimumDistance = 2
	root.PersistentFlags().SortFlags, root.Flags().SortFlags = false, false
	a.flags.add(root.PersistentFlags())
	root.AddCommand(a.serveCommand(), a.refreshCommand(), a.tokenCommand(), a.reportCommand(), a.rotateCommand(),
		a.statusCommand(), a.clientCommand(), a.sealKeyCommand(), a.doctorCommand(), a.sandboxCommand(), a.versionCommand())
	root.SetHelpCommand(helpCommand(root))
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		cmd.Flags().SortFlags = false
		if heeded, few := heedsOnly[cmd.Name()]; few {
			helpWith(cmd, heeded)
		}
		if cmd.Name() == "completion" {
			// Not runnable, it would answer a wrong shell with help and success.
			cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
	return root
}

// heedsOnly are the common flags of commands that heed few of them.
var heedsOnly = map[string][]string{
	"sandbox":  {"log-level", "log-format"},
	"client":   {"config"},
	"seal-key": nil,
	"version":  nil,
}

// helpWith leaves the common flags out of a command's help, but for those that
// it heeds.
func helpWith(cmd *cobra.Command, heeded []string) {
	cmd.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		cmd.InheritedFlags().VisitAll(func(f *pflag.Flag) { f.Hidden = !slices.Contains(heeded, f.Name) })
		cmd.Root().HelpFunc()(cmd, args)
	})
}

// helpCommand is that of cobra, but for an unknown command it fails.
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Help about any command",
		Example: "  mintonce help serve",
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return misused("there is no command %.40q: see mintonce --help", strings.Join(args, " "))
			}
			cmd.InitDefaultHelpFlag()
			return cmd.Help()
		},
	}
}

func didYouMean(candidates []string) string {
	if len(candidates) == 0 {
		return ""
	}
	return " (did you mean " + strings.Join(candidates, " or ") + "?)"
}

// oneName allows at most one argument, the name of a token.
func oneName(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return misused("%s takes one NAME, not %d arguments: see %s --help", cmd.Name(), len(args), cmd.CommandPath())
	}
	return nil
}

func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return misused("%s takes no arguments: see %s --help", cmd.Name(), cmd.CommandPath())
	}
	return nil
}

// readVariables gives the flags that were not set the values of their
// variables. An empty variable says nothing.
func (a *app) readVariables(cmd *cobra.Command) error {
	a.origins = make(map[string]string)
	prefix := "MINTONCE_"
	if cmd.Name() == "sandbox" {
		// Its --listen must not be that of serve in the same environment.
		prefix += "SANDBOX_"
	}
	var problem error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Changed {
			a.origins[f.Name] = "--" + f.Name
			return
		}
		variable := "MINTONCE_"
		if cmd.LocalNonPersistentFlags().Lookup(f.Name) != nil {
			variable = prefix
		}
		variable += strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value := getenv(variable)
		if value == "" || f.Name == "help" || f.Name == "version" || problem != nil {
			return
		}
		if err := f.Value.Set(value); err != nil {
			problem = misused("%s is not a value for --%s: see %s --help", variable, f.Name, cmd.CommandPath())
			return
		}
		a.origins[f.Name] = variable
	})
	return problem
}
