package redisstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Error is a call that Redis refused or did not answer, told in one line.
type Error struct {
	Op      string // what was tried, such as "load shop"; may be empty
	Problem string
	Remedy  string // may be empty
	Err     error  // the cause; nil where its text is not fit for showing
}

func (e *Error) Error() string {
	text := "redisstore: "
	if e.Op != "" {
		text += e.Op + ": "
	}
	text += e.Problem
	if e.Remedy != "" {
		text += ": " + e.Remedy
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Explain turns an error of go-redis into an *[Error] that says what is wrong
// and what to do, without any secret. It returns nil for nil, and an *Error of
// this package as it is. The calls of a Store have done it already.
func Explain(err error) error { return explain("", err) }

func explain(op string, err error) error {
	var done *Error
	if err == nil || errors.As(err, &done) {
		return err
	}
	problem, remedy := diagnose(err)
	e := &Error{Op: op, Problem: problem, Remedy: remedy, Err: err}
	if strings.Contains(err.Error(), withArguments) || quotesReply(err) {
		e.Err = nil
	}
	return e
}

// diagnose finds the words for err.
func diagnose(err error) (problem, remedy string) {
	var dial *net.OpError
	var server redis.Error
	var timeout net.Error
	var foreign *foreignError
	switch {
	case errors.As(err, &foreign):
		return foreign.what(), foreignRemedy
	case quotesReply(err):
		return "the reply is not one to what was asked", "check that the address is that of a Redis server, 5.0 or later"
	case errors.As(err, &server) && !errors.Is(err, redis.Nil):
		return diagnoseReply(server.Error())
	case errors.As(err, &dial) && dial.Op == "dial":
		return fmt.Sprintf("Redis cannot be reached at %s (%v)", address(dial), dial.Err), "check the address, that Redis runs, and the network between"
	case errors.Is(err, context.Canceled):
		return "the caller gave up", ""
	case errors.Is(err, redis.ErrPoolTimeout):
		return "no connection became free in time", "Redis is slow, or PoolSize is too small"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "Redis gave no answer in time", "see whether it is overloaded, stopped or cut off"
	case errors.Is(err, redis.ErrClosed):
		return "the redis client is closed", "close it after everything that uses the Store"
	case errors.Is(err, errReply):
		return "the reply is not that of a Redis script", "check that the address is that of a Redis server, 5.0 or later"
	case errors.Is(err, errLost), errors.Is(err, errElsewhere):
		return err.Error(), "every watched record is looked at again"
	default:
		return "the connection broke (" + err.Error() + ")", "see whether Redis was restarted, or closes connections"
	}
}

func address(e *net.OpError) string {
	if e.Addr == nil {
		return "its address"
	}
	return e.Addr.String()
}

// withArguments is how Redis begins to quote what it was sent.
const withArguments = ", with args beginning with"

// unreadable is how go-redis complains of a reply of another kind than it
// expects. It quotes the reply, which may be a secret.
var unreadable = regexp.MustCompile(`redis: (can't|invalid|unexpected|expected|got|unsupported) |strconv\.|^bigInt\(|^got `)

func quotesReply(err error) bool {
	var server redis.Error
	return !errors.As(err, &server) && unreadable.MatchString(err.Error())
}

var (
	// "NOPERM User app has no permissions to run the 'evalsha' command", or
	// "... this user has no permissions ...", within a script too.
	forbiddenCommand = regexp.MustCompile(`(?i)no permissions to run the '([^']+)' command`)
	forbiddenKey     = regexp.MustCompile(`(?i)no permissions to access|NOPERM.*keys?|executing the script can't access`)
	// Redis 7.0 does not name it.
	forbiddenInScript = regexp.MustCompile(`(?i)executing the script can't run this command`)
)

// replies are the error replies of Redis by how they begin.
var replies = []struct{ begins, problem, remedy string }{
	{"WRONGPASS", "Redis refuses the user or password", "check both; without a user, the password is that of the user default"},
	{"ERR invalid password", "Redis refuses the password", "check it"},
	{"NOAUTH", "Redis asks for a password", "give it one"},
	{"ERR Protocol error: unauthenticated", "Redis asks for a password", "give it one"}, // to a long request
	{"ERR AUTH", "Redis has no password, but one is given", "leave it out, or set requirepass or an ACL user on the server"},
	{"ERR Client sent AUTH", "Redis has no password, but one is given", "leave it out, or set requirepass or an ACL user on the server"},
	{"READONLY", "this server is a replica", "use the address of the primary, or redis+sentinel, which follows it"},
	{"MOVED", "this server is part of a cluster", "use redis+cluster"},
	{"ASK", "this server is part of a cluster", "use redis+cluster"},
	{"CROSSSLOT", "this server is part of a cluster", "use redis+cluster"},
	{"ERR This instance has cluster support disabled", "this server is no part of a cluster", "use redis without +cluster"},
	{"CLUSTERDOWN", "the cluster does not serve all slots", "see CLUSTER INFO"},
	{"TRYAGAIN", "the cluster is moving the keys of this record to another node", "wait"},
	{"OOM", "Redis is out of memory and refuses to write", "raise maxmemory, or remove data; keep maxmemory-policy noeviction"},
	{"MISCONF", "Redis cannot save to its disk and refuses to write", "free space on its disk, see its log"},
	{"NOREPLICAS", "Redis has fewer replicas than min-replicas-to-write", "bring the replicas back"},
	{"LOADING", "Redis is loading its data", "wait"},
	{"MASTERDOWN", "this replica has lost its primary", "see to the primary"},
	{"BUSY", "a script of somebody else keeps Redis busy", "see SCRIPT KILL"},
	{"WRONGTYPE", "a key of this name holds something else", "another program uses it: choose another prefix"},
	{"ERR max number of clients", "Redis has too many connections", "raise maxclients, or see CLIENT LIST for who has them"},
	{"ERR DB index", "the database number is out of range", "use a lower one, see CONFIG GET databases"},
	{"ERR unknown command", "this server lacks a command", "use Redis 5.0 or later, without rename-command, or a store that is compatible"},
	{"EXECABORT", "Redis refused a command", "see its log"},
}

// diagnoseReply finds the words for an error reply. An error within a script
// has further words around it.
func diagnoseReply(text string) (problem, remedy string) {
	const acl = "extend its ACL as the package's documentation shows"
	if m := forbiddenCommand.FindStringSubmatch(text); m != nil {
		return "the Redis user may not run the command " + strings.ToUpper(m[1]), acl
	}
	if forbiddenInScript.MatchString(text) {
		return "the Redis user may not run one of the commands of a script", acl
	}
	if forbiddenKey.MatchString(text) {
		return "the Redis user may not use a key of the store", acl
	}
	for _, r := range replies {
		if strings.HasPrefix(text, r.begins) || strings.Contains(text, " "+r.begins+" ") || strings.Contains(text, "-"+r.begins+" ") {
			return r.problem, r.remedy
		}
	}
	text, _, _ = strings.Cut(text, withArguments)
	return fmt.Sprintf("Redis answers %.200q", text), ""
}
