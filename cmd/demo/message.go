package main

// A replica is this program started again, with replicaVariable set. It reads
// its orders as a line of JSON from its input, then one command a line. When
// its input ends, which happens at the latest when the demo itself dies, it
// finishes the calls under way and ends. It tells what happens as lines of
// JSON on its output.
const replicaVariable = "MINTONCE_DEMO_REPLICA"

// orders are what a replica has to know.
type orders struct {
	Way      way    `json:"way"`
	Replica  int    `json:"replica"`    // its number, from 1
	Replicas int    `json:"replicas"`   // how many there are
	API      string `json:"api"`        // its base URL at the fake WeChat
	Redis    string `json:"redis"`      // a URL, perhaps with a password: not for the command line
	Prefix   string `json:"prefix"`     // of all keys
	Rate     int    `json:"rate"`       // calls per second
	Overlap  int    `json:"overlap_ms"` // for which a replaced token lives on
}

// way is how the replicas share their token.
type way string

const (
	todaysWay   way = "today"
	mintonceWay way = "mintonce"
)

func (w way) title() string {
	if w == todaysWay {
		return "today's SDKs"
	}
	return "mintonce"
}

// The commands for a replica.
const (
	commandGo     = "go"     // begin to call
	commandRotate = "rotate" // an operator wants a new token
)

// happening is what a replica tells.
type happening struct {
	What   what   `json:"what"`
	Detail string `json:"detail,omitempty"` // an error's text, without tokens
}

type what string

const (
	ready       what = "ready"        // it waits for commandGo
	called      what = "called"       // an API call succeeded
	callFailed  what = "call failed"  // an API call failed for good
	rotated     what = "rotated"      // the rotation is done
	notRotated  what = "not rotated"  // the rotation failed
	cannotStart what = "cannot start" // and ends
)
