package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReportSaysPlainlyWhatWasMissed(t *testing.T) {
	hot := table{caption: "Caption:", head: []string{"", "p50"}}
	hot.add("mintonce", "1.00 ms")
	r := report{sections: []*section{{
		title: "A title", text: "What was done.",
		aims:   []aim{{"this", "at most 1", "2", false}, {"that", "at most 1", "1", true}},
		tables: []table{hot},
		plots:  []picture{{"a.svg", "a plot", []byte("<svg/>")}},
	}}}
	folder := t.TempDir()
	if err := r.write(folder); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(folder, "benchmarks.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| this | at most 1 | 2 | **missed** |", "| that | at most 1 | 1 | reached |",
		"## A title", "What was done.", "Caption:\n\n|  | p50 |\n| --- | ---: |\n| mintonce | 1.00 ms |", "![a plot](benchmarks/a.svg)",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the report has no %q:\n%s", want, text)
		}
	}
	if strings.Contains(string(text), "short run") {
		t.Error("the report of a full run calls itself short")
	}
	if svg, err := os.ReadFile(filepath.Join(folder, "benchmarks", "a.svg")); err != nil || string(svg) != "<svg/>" {
		t.Errorf("the plot: %q, %v", svg, err)
	}
}

func TestChooseRefusesWhatThereIsNot(t *testing.T) {
	if got, err := choose(""); err != nil || len(got) != len(benchmarks) {
		t.Errorf("choose all: %v, %v", got, err)
	}
	if got, err := choose("http,hotpath"); err != nil || len(got) != 2 {
		t.Errorf("choose two: %v, %v", got, err)
	}
	if _, err := choose("htpp"); err == nil || !strings.Contains(err.Error(), "htpp") {
		t.Errorf("choose a misspelled one: %v", err)
	}
}
