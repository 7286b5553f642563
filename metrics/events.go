package metrics

import "github.com/mintonce/mintonce/coordinator"

// outcomes are the events that end a mint, by what they are called here.
var outcomes = map[coordinator.EventKind]string{
	coordinator.EventMinted:     "minted",     // a new token
	coordinator.EventConfirmed:  "confirmed",  // the token that there was
	coordinator.EventOverlapped: "overlapped", // too late: in doubt
	coordinator.EventFailed:     "refused",    // certainly no token
	coordinator.EventUnanswered: "unanswered", // nobody knows
}

// Observe counts an event. It is a coordinator.Config.Observer; to observe with
// others too, call it from theirs.
func (m *Metrics) Observe(e coordinator.Event) {
	token := m.label(e.Name)
	m.events.WithLabelValues(token, string(e.Kind)).Inc()
	outcome, isMint := outcomes[e.Kind]
	if !isMint || e.Took <= 0 {
		return // an attempt that is tidied up later was counted when it failed
	}
	m.mints.WithLabelValues(token, e.Reason, outcome).Inc()
	m.mintTime.WithLabelValues(outcome).Observe(e.Took.Seconds())
	if e.Class != "" {
		m.failures.WithLabelValues(token, string(e.Class)).Inc()
	}
}
