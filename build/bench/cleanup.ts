/** What must be undone however the bench ends. */
export class Cleanup {
  readonly #steps: { readonly undo: () => void }[] = [];

  constructor() {
    // The last resort: an uncaught error or a second signal ends the process without unwinding.
    process.on('exit', () => this.run());
  }

  /** Registers `undo`; the function returned runs it early, once. */
  add(undo: () => void): () => void {
    const step = { undo };
    this.#steps.push(step);
    return () => {
      const index = this.#steps.indexOf(step);
      if (index === -1) return;
      this.#steps.splice(index, 1);
      undo();
    };
  }

  /** Undoes the newest first. One that fails is told and does not keep the others. */
  run(): void {
    for (let step = this.#steps.pop(); step; step = this.#steps.pop()) {
      try {
        step.undo();
      } catch (error) {
        process.stderr.write(`bench: left behind: ${error instanceof Error ? error.message : error}\n`);
      }
    }
  }
}

/** Aborts at the first SIGINT or SIGTERM; a second one ends the process at once. */
export function interruption(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(130);
      controller.abort(new Error('interrupted'));
    });
  }
  return controller.signal;
}
