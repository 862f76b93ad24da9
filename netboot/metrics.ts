/** What can be measured of the appliance, for Prometheus. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

export class Metrics {
  readonly registry = new Registry();
  readonly requests: Histogram<'operation' | 'method' | 'status'>;
  readonly logins: Counter<'result'>;

  constructor() {
    collectDefaultMetrics({ register: this.registry });
    this.requests = new Histogram({
      name: 'bty_http_request_seconds',
      help: 'Time from a request to the end of its answer.',
      labelNames: ['operation', 'method', 'status'],
      buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30, 300],
      registers: [this.registry],
    });
    this.logins = new Counter({
      name: 'bty_logins_total',
      help: 'Tries to log in.',
      labelNames: ['result'],
      registers: [this.registry],
    });
  }

  /** A number that is asked for when it is wanted, perhaps one for each value of `label`. */
  gauge(name: string, help: string, measure: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.registry],
      collect() {
        this.set(measure());
      },
    });
  }

  gauges<Label extends string>(
    name: string,
    help: string,
    label: Label,
    measure: () => ReadonlyMap<string, number>,
  ): void {
    new Gauge({
      name,
      help,
      labelNames: [label],
      registers: [this.registry],
      collect() {
        this.reset();
        for (const [value, number] of measure())
          this.set({ [label]: value } as Partial<Record<Label, string>>, number);
      },
    });
  }
}
