// The other opponent: VictoriaMetrics with vmagent, built by `npm run bench:peers`.
module narthex/bench/peers/victoria-metrics

go 1.24

require github.com/VictoriaMetrics/VictoriaMetrics v0.0.0-20250718125606-9d9bea03485e
