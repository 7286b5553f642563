package coordinator

import (
	"container/heap"
	"time"
)

const notQueued = -1

// turns orders members by their next turn. It is a heap with a way to change
// and remove what is in it.
type turns struct{ queue turnQueue }

// set puts m at that time, whether it was queued or not.
func (t *turns) set(m *member, at time.Duration) {
	m.at = at
	if m.index == notQueued {
		heap.Push(&t.queue, m)
	} else {
		heap.Fix(&t.queue, m.index)
	}
}

func (t *turns) remove(m *member) {
	if m.index != notQueued {
		heap.Remove(&t.queue, m.index)
	}
}

// due takes out up to most members whose turn has come, and returns the time
// of the turn after them; ok is false if there is none.
func (t *turns) due(now time.Duration, most int) (batch []*member, next time.Duration, ok bool) {
	for len(t.queue) > 0 {
		if t.queue[0].at > now || len(batch) == most {
			return batch, t.queue[0].at, true
		}
		batch = append(batch, heap.Pop(&t.queue).(*member))
	}
	return batch, 0, false
}

// turnQueue implements heap.Interface.
type turnQueue []*member

func (q turnQueue) Len() int           { return len(q) }
func (q turnQueue) Less(i, j int) bool { return q[i].at < q[j].at }
func (q turnQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

func (q *turnQueue) Push(x any) {
	m := x.(*member)
	m.index = len(*q)
	*q = append(*q, m)
}

func (q *turnQueue) Pop() any {
	last := len(*q) - 1
	m := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	m.index = notQueued
	return m
}
