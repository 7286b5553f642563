// Package storeurl opens the store that a text such as redis://HOST:PORT/DB or
// file:DIR names. It is what the command's --store and --fallback accept.
package storeurl

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/filestore"
	"github.com/mintonce/mintonce/redisstore"
	"github.com/redis/go-redis/v9"
)

// Forms lists what Parse accepts, for messages.
const Forms = "redis://HOST:PORT/DB, rediss://..., redis+sentinel://HOST:PORT,.../MASTER/DB, redis+cluster://HOST:PORT,... or file:DIR"

// URL is a store that is named and not opened yet. It prints without password.
type URL struct {
	dir   string                  // of a file store
	redis *redis.UniversalOptions // of any other
	shown string
}

// Parse reads the name of a store. Its errors never quote text, whose parts may
// turn out to be pieces of a password.
func Parse(text string) (URL, error) {
	if dir, ok := strings.CutPrefix(text, "file:"); ok {
		return parseFile(dir)
	}
	if !strings.HasPrefix(text, "redis") {
		return URL{}, errors.New("is not the name of a store: the forms are " + Forms)
	}
	if _, rest, found := strings.Cut(text, ":"); found && !strings.HasPrefix(rest, "//") {
		return URL{}, errors.New("lacks // after the first colon: write redis://HOST:PORT/DB")
	}
	options, err := redisstore.ParseURL(text)
	if err != nil {
		var wrong *redisstore.URLError
		if errors.As(err, &wrong) {
			return URL{}, fmt.Errorf("%s %s: %s", wrong.Part, wrong.Problem, wrong.Remedy)
		}
		return URL{}, err
	}
	if err := checkHosts(options); err != nil {
		return URL{}, err
	}
	return URL{redis: options, shown: show(text, options)}, nil
}

// plain is what host names and the names of masters consist of. Anything else
// is a typing mistake, and not fit for a log.
var plain = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

func checkHosts(o *redis.UniversalOptions) error {
	for i, addr := range o.Addrs {
		host, _, err := net.SplitHostPort(addr)
		if err != nil || !plain.MatchString(host) && net.ParseIP(host) == nil {
			return fmt.Errorf("host %d is neither a name nor an address: the forms are %s", i+1, Forms)
		}
	}
	if o.MasterName != "" && !plain.MatchString(o.MasterName) {
		return errors.New("the master's name has other characters than A-Z a-z 0-9 . _ -: write it as the sentinels do")
	}
	return nil
}

func parseFile(dir string) (URL, error) {
	if rest, ok := strings.CutPrefix(dir, "//"); ok {
		if !strings.HasPrefix(rest, "/") {
			return URL{}, errors.New("is of the form file://HOST: write file:/DIR")
		}
		dir = rest
	}
	switch {
	case dir == "":
		return URL{}, errors.New("names no folder: write file:/DIR")
	case strings.HasPrefix(dir, "~"):
		return URL{}, errors.New("begins with ~, which only a shell knows: write the whole path")
	case strings.ContainsFunc(dir, unicode.IsControl):
		return URL{}, errors.New("has a line end or another control character: write file:/DIR")
	}
	if dir = filepath.Clean(dir); strings.HasPrefix(dir, "~") {
		dir = "./" + dir // the folder of this name, which must stay readable as a URL
	}
	return URL{dir: dir, shown: "file:" + dir}, nil
}

// show writes the options down as a URL again, without user and password.
func show(text string, o *redis.UniversalOptions) string {
	scheme, _, _ := strings.Cut(text, "://")
	shown := scheme + "://" + strings.Join(o.Addrs, ",")
	if o.MasterName != "" {
		shown += "/" + o.MasterName
	}
	if !o.IsClusterMode {
		shown += fmt.Sprintf("/%d", o.DB)
	}
	return shown
}

// String is the URL without user and password.
func (u URL) String() string { return u.shown }

// Format makes every verb of package fmt print String.
func (u URL) Format(f fmt.State, _ rune) { fmt.Fprint(f, u.shown) }

// IsFile reports whether the store is one in a folder.
func (u URL) IsFile() bool { return u.redis == nil }

// HasPassword reports whether the URL holds a password.
func (u URL) HasPassword() bool { return u.redis != nil && u.redis.Password != "" }

// Below returns u with a relative folder taken from base.
func (u URL) Below(base string) URL {
	if u.IsFile() && !filepath.IsAbs(u.dir) {
		u.dir = filepath.Join(base, u.dir)
		u.shown = "file:" + u.dir
	}
	return u
}

// Options are for Open. The zero value works.
type Options struct {
	// Prefix separates fleets that share one store: the first part of every
	// key in Redis, or a folder within a file store. Default: none in files,
	// redisstore.DefaultPrefix in Redis.
	Prefix string
	// Password is used where the URL has none.
	Password string
	// Warn, if set, is told what is amiss but does not stop the store.
	Warn func(error)
}

// CheckPrefix returns an error for a prefix that no store accepts.
func CheckPrefix(prefix string) error {
	const allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-"
	if len(prefix) > 64 || strings.Trim(prefix, allowed) != "" || strings.Trim(prefix, ".") == "" && prefix != "" {
		return errors.New("must be 1 to 64 characters of A-Z a-z 0-9 . _ : -")
	}
	return nil
}

// Opened is a store in use.
type Opened struct {
	coordinator.Store
	// Redis is the same store if it is one on Redis, and nil otherwise.
	Redis *redisstore.Store
	close func() error
}

// Close gives connections up. It must be called after everything that uses
// the store has ended.
func (o Opened) Close() error { return o.close() }

// Open opens the store. Redis is not contacted; a folder is created with
// permissions 0700 if it is missing, and an error if it cannot be written.
func (u URL) Open(o Options) (Opened, error) {
	if u.IsFile() {
		dir := u.dir
		if o.Prefix != "" && o.Prefix != redisstore.DefaultPrefix {
			dir = filepath.Join(dir, o.Prefix)
		}
		store, err := filestore.New(dir, filestore.Config{})
		if err != nil {
			return Opened{}, err
		}
		return Opened{Store: store, close: func() error { return nil }}, nil
	}
	options := *u.redis
	if options.Password == "" {
		options.Password = o.Password
	}
	client := redis.NewUniversalClient(&options)
	store := redisstore.New(client, redisstore.Config{Prefix: o.Prefix, Warn: o.Warn})
	return Opened{Store: store, Redis: store, close: client.Close}, nil
}

// StateDir is the file store in the user's state folder.
// https://specifications.freedesktop.org/basedir/latest/
func StateDir() (URL, error) {
	base := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(base) { // the specification has relative ones ignored
		home, err := os.UserHomeDir()
		if err != nil {
			return URL{}, errors.New("is not set, and there is no home folder for the default: set it to one of " + Forms)
		}
		base = filepath.Join(home, ".local", "state")
	}
	return parseFile(filepath.Join(base, "mintonce"))
}
