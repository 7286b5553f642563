package coordinator

import (
	"context"
	"strings"
	"unicode"
)

// maxActor bounds the name of an actor, in bytes.
const maxActor = 100

// actorKey is where a context keeps the actor.
type actorKey struct{}

// WithActor says in whose name Rotate, Report and Reject are called under ctx,
// such as "client oncall" or "user alice". The history keeps it as Event.Actor,
// beside the instance that did the work, so that people can find out who asked
// for what. It is cut after 100 bytes and put on one line. It must not be a
// key, a token or anything else that proves who somebody is.
func WithActor(ctx context.Context, actor string) context.Context {
	return context.WithValue(ctx, actorKey{}, cleanActor(actor))
}

func actorOf(ctx context.Context) string {
	actor, _ := ctx.Value(actorKey{}).(string)
	return actor
}

func cleanActor(actor string) string {
	actor = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(actor, "?"))
	actor = strings.Join(strings.Fields(actor), " ")
	if len(actor) > maxActor {
		actor = strings.ToValidUTF8(actor[:maxActor], "")
	}
	return actor
}
