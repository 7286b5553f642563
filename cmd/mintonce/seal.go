package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/mintonce/mintonce/internal/plain"
	"github.com/mintonce/mintonce/sealedstore"
	"github.com/spf13/cobra"
)

// sealChange is what is to be done to a key file.
type sealChange struct {
	rotate, add, promote bool
	drop                 string
}

func (a *app) sealKeyCommand() *cobra.Command {
	var change sealChange
	cmd := &cobra.Command{
		Use:   "seal-key FILE",
		Short: "Make or rotate the keys that encrypt tokens at rest",
		Long: `seal-key makes a file with a key that seals tokens and refresh tokens in Redis
and in files: name it as seal.key_file in the config of every process. Whoever
can read the store then finds everything but the token. The file is a keyset of
Tink, readable by its owner alone. Keep a copy of it: without it, what it has
sealed is lost, and has to be minted anew.

--rotate adds a new key that seals from then on; the ones before still open what
they have sealed. Where the processes do not all get the new file at once, do it
in two steps: --add, give the file to all, then --promote, and give it to all
again. A running serve takes up a changed file by itself. A process that meets a
record sealed with a key that it has not got serves what it has, changes
nothing, and says which key is missing.

A record is sealed anew with every write, so after a day an old key is of no
more use, but for copies of the store from before: --drop removes it.

Run it as the user who reads the file.`,
		Example: `  mintonce seal-key seal-keys.json
  mintonce seal-key seal-keys.json --rotate
  mintonce seal-key seal-keys.json --drop 1234567890`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return misused("seal-key needs one FILE: see %s --help", cmd.CommandPath())
			}
			if change.several() {
				return misused("seal-key does one thing at a time: give one of --rotate, --add, --promote and --drop")
			}
			a.begun = true
			return a.sealKey(args[0], change)
		},
	}
	cmd.Flags().BoolVar(&change.rotate, "rotate", false, "add a key that seals from now on")
	cmd.Flags().BoolVar(&change.add, "add", false, "add a key that only opens for now")
	cmd.Flags().BoolVar(&change.promote, "promote", false, "let the newest key seal from now on")
	cmd.Flags().StringVar(&change.drop, "drop", "", "remove the key called `KEY`")
	return cmd
}

func (c sealChange) several() bool {
	n := 0
	for _, given := range []bool{c.rotate, c.add, c.promote, c.drop != ""} {
		if given {
			n++
		}
	}
	return n > 1
}

func (a *app) sealKey(file string, change sealChange) error {
	if change == (sealChange{}) {
		return a.makeSealKey(file)
	}
	keys, err := sealedstore.ReadKeys(file)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s does not exist: make it with mintonce seal-key %s", file, file)
	}
	if err == nil {
		keys, err = change.apply(keys)
	}
	if err == nil {
		err = keys.WriteFile(file)
	}
	if err != nil {
		return fmt.Errorf("%s: %s; nothing was changed", file, sealText(err))
	}
	_, err = fmt.Fprintf(a.stdout, "%s: %s\n", file, keys)
	return err
}

func (c sealChange) apply(keys *sealedstore.Keys) (*sealedstore.Keys, error) {
	switch {
	case c.drop != "":
		return keys.Drop(c.drop)
	case c.promote:
		return keys.Promote()
	}
	more, err := keys.Add()
	if err != nil || c.add {
		return more, err
	}
	return more.Promote()
}

func (a *app) makeSealKey(file string) error {
	if there, err := sealedstore.ReadKeys(file); err == nil {
		return fmt.Errorf("%s exists, %s: give --rotate, --add, --promote or --drop to change it", file, there)
	}
	keys, err := sealedstore.NewKeys()
	if err != nil {
		return err
	}
	text, err := keys.Marshal()
	if err != nil {
		return err
	}
	if err := writeKey(file, string(text[:len(text)-1])); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "%s: %s\nKeep a copy of it. For the config of every process:\n\n  seal: {key_file: %s}\n", file, keys, file)
	return err
}

// sealText is an error of package sealedstore without its name.
func sealText(err error) string {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return plain.Text(err)
}

// seal puts the keys of the config before store and fallback, if there are any.
func (s *session) seal() error {
	keys, warning, err := s.cfg.SealKeys()
	if err != nil || keys == nil {
		return err
	}
	if warning != "" {
		s.log.Warn(warning)
	}
	store := sealedstore.New(s.store.Store, keys)
	s.store.Store, s.sealed = store, []*sealedstore.Store{store}
	if s.fallback != nil {
		copies := sealedstore.New(s.fallback, keys)
		s.fallback, s.sealed = copies, append(s.sealed, copies)
	}
	return nil
}

// reseal takes up the key file if it has changed.
func (r *reloader) reseal(asked bool) {
	if len(r.session.sealed) == 0 {
		return
	}
	keys, _, err := r.config.SealKeys()
	if err != nil {
		if text := plain.Text(err); text != r.keysRefused || asked {
			r.log.Error("seal keys refused: the ones before stay in use", "problem", text, "keys", r.session.sealed[0].Keys())
			r.keysRefused = text
		}
		return
	}
	r.keysRefused = ""
	if keys.String() == r.session.sealed[0].Keys().String() {
		return
	}
	for _, store := range r.session.sealed {
		store.Use(keys)
	}
	r.log.Info("seal keys replaced", "keys", keys)
}
