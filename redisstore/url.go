package redisstore

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// The forms of a URL for [ParseURL].
const urlForms = "redis://[USER:PASSWORD@]HOST[:PORT][/DB], redis+sentinel://[USER:PASSWORD@]HOST:PORT,.../MASTER[/DB] " +
	"or redis+cluster://[USER:PASSWORD@]HOST:PORT,..., each also with rediss for TLS"

// URLError says which part of a URL is wrong. It never quotes the URL, whose
// parts may turn out to be pieces of a password.
type URLError struct {
	Part    string
	Problem string
	Remedy  string
}

func (e *URLError) Error() string {
	return fmt.Sprintf("redisstore: store URL: %s %s: %s", e.Part, e.Problem, e.Remedy)
}

// Open returns a client with the options of [ParseURL]. It does not connect. It
// is for a Store: replies that are larger than any of a Store's end in an error.
func Open(url string) (redis.UniversalClient, error) {
	o, err := ParseURL(url)
	if err != nil {
		return nil, err
	}
	return redis.NewUniversalClient(o), nil
}

// ParseURL returns client options that suit a Store: contexts are heeded,
// time-outs are one second, nothing is retried, the pool is small, replies are
// bounded. Fill in Password, if it is not part of the URL, and pass them to
// redis.NewUniversalClient. The Dialer, of [BoundReplies], heeds TLSConfig and
// DialTimeout of these very options: set them here, not in a copy, or give a
// copy a Dialer of its own. The URL has one of the forms
//
//	redis://[[USER]:PASSWORD@]HOST[:PORT][/DB]
//	redis+sentinel://[[USER]:PASSWORD@]HOST[:PORT][,HOST[:PORT]...]/MASTER[/DB]
//	redis+cluster://[[USER]:PASSWORD@]HOST[:PORT][,HOST[:PORT]...]
//
// with rediss instead of redis for TLS. User and password are those of Redis,
// not of the sentinels, and are percent-encoded where they hold any of / ? # %.
// Errors are of type *[URLError].
func ParseURL(text string) (*redis.UniversalOptions, error) {
	scheme, rest, found := strings.Cut(text, "://")
	if !found {
		return nil, &URLError{"the scheme", "is missing", "the forms are " + urlForms}
	}
	o := safeOptions()
	o.Dialer = BoundReplies(dialAs(o))
	kind, ok := strings.CutPrefix(scheme, "rediss")
	if ok {
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	} else if kind, ok = strings.CutPrefix(scheme, "redis"); !ok {
		return nil, &URLError{"the scheme", "is not known", "the forms are " + urlForms}
	}
	if strings.ContainsAny(rest, "?#") {
		return nil, &URLError{"the end", "has a ? or #", "remove parameters; write %3F and %23 within a password"}
	}
	authority, path, _ := strings.Cut(rest, "/")
	if strings.Contains(path, "@") {
		return nil, &URLError{"the password", "has a character that ends it", "write / as %2F within a password"}
	}
	hosts, err := parseUser(o, authority)
	if err != nil {
		return nil, err
	}
	var segments []string
	if path != "" {
		segments = strings.Split(strings.TrimSuffix(path, "/"), "/")
	}
	port := "6379"
	switch kind {
	case "":
		err = parseDB(o, segments)
	case "+sentinel":
		port = "26379"
		err = parseMaster(o, segments)
	case "+cluster":
		o.IsClusterMode = true
		if len(segments) > 0 {
			err = &URLError{"the path", "is not empty", "a cluster has no database numbers: end the URL after the hosts"}
		}
	default:
		err = &URLError{"the scheme", "is not known", "the forms are " + urlForms}
	}
	if err != nil {
		return nil, err
	}
	if o.Addrs, err = parseHosts(hosts, port); err != nil {
		return nil, err
	}
	if kind == "" && len(o.Addrs) > 1 {
		return nil, &URLError{"the host", "is a list", "use redis+sentinel or redis+cluster for several hosts"}
	}
	return o, nil
}

// safeOptions are those of every client of [Open].
func safeOptions() *redis.UniversalOptions {
	return &redis.UniversalOptions{
		ContextTimeoutEnabled: true,
		MaxRetries:            -1,
		DialTimeout:           time.Second,
		DialerRetries:         1,
		ReadTimeout:           time.Second,
		WriteTimeout:          time.Second,
		PoolTimeout:           time.Second,
		PoolSize:              8,
		PipelinePoolSize:      -1,
		DisableIdentity:       true, // fewer commands that a user must be allowed
		MaintNotificationsConfig: &maintnotifications.Config{
			Mode: maintnotifications.ModeDisabled,
		},
	}
}

// parseUser takes user and password off and returns the hosts.
func parseUser(o *redis.UniversalOptions, authority string) (hosts string, err error) {
	at := strings.LastIndexByte(authority, '@')
	if at < 0 {
		return authority, nil
	}
	user, password, _ := strings.Cut(authority[:at], ":")
	var err1, err2 error
	o.Username, err1 = url.PathUnescape(user)
	o.Password, err2 = url.PathUnescape(password)
	if err1 != nil || err2 != nil { // these quote what they could not read
		return "", &URLError{"the user or password", "has a % that begins no percent-encoding", "write % as %25"}
	}
	return authority[at+1:], nil
}

func parseDB(o *redis.UniversalOptions, segments []string) error {
	if len(segments) == 0 {
		return nil
	}
	db, err := strconv.Atoi(segments[0])
	if len(segments) > 1 || err != nil || db < 0 {
		return &URLError{"the database", "is not a number from 0", "end the URL with /0 or another number"}
	}
	o.DB = db
	return nil
}

func parseMaster(o *redis.UniversalOptions, segments []string) error {
	if len(segments) == 0 || segments[0] == "" {
		return &URLError{"the master's name", "is missing", "name it after the hosts, as the sentinels do: /mymaster"}
	}
	o.MasterName = segments[0]
	return parseDB(o, segments[1:])
}

// parseHosts splits a list of HOST[:PORT] and fills in the port.
func parseHosts(list, port string) ([]string, error) {
	var addrs []string
	for i, text := range strings.Split(list, ",") {
		part := fmt.Sprintf("host %d", i+1)
		host, given := text, port
		if bare := strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"); net.ParseIP(bare) != nil && bare != text || !strings.Contains(text, ":") {
			host = bare
		} else {
			var err error
			if host, given, err = net.SplitHostPort(text); err != nil {
				return nil, &URLError{part, "is not of the form HOST:PORT", "write an IPv6 address as [::1]:6379, and / ? # % @ in a password percent-encoded"}
			}
		}
		if host == "" {
			return nil, &URLError{part, "is empty", "name a host or an address"}
		}
		if n, err := strconv.ParseUint(given, 10, 16); err != nil || n == 0 {
			return nil, &URLError{part, "has a bad port", "use a number from 1 to 65535"}
		}
		addrs = append(addrs, net.JoinHostPort(host, given))
	}
	return addrs, nil
}
