import { until } from './processes.ts';

interface Answer {
  readonly id?: number;
  readonly result?: { readonly result?: { readonly value?: unknown }; readonly exceptionDetails?: object };
}

/** The page of an app that was started with a port for a debugger of pages, and takes no other. */
export class RemotePage implements Disposable {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #last = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener('message', ({ data }) => {
      const answer = JSON.parse(String(data)) as Answer;
      if (answer.id !== undefined) this.#waiting.get(answer.id)?.(answer);
    });
  }

  /** `address` as it is told when it listens: `ws://127.0.0.1:PORT/...`. */
  static async open(address: string): Promise<RemotePage> {
    let found = '';
    await until(
      async () => {
        const answer = await fetch(`http://${new URL(address).host}/json/list`);
        const all = (await answer.json()) as { type: string; url: string; webSocketDebuggerUrl?: string }[];
        const page = all.find(({ type, url }) => type === 'page' && url.startsWith('bty-app:'));
        found = page?.webSocketDebuggerUrl ?? '';
        return found !== '';
      },
      'there is a page',
      60,
    );
    const socket = new WebSocket(found);
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve);
      socket.addEventListener('error', reject);
    });
    return new RemotePage(socket);
  }

  async evaluate(expression: string): Promise<unknown> {
    const id = ++this.#last;
    const answer = new Promise<Answer>((resolve) => this.#waiting.set(id, resolve));
    const params = { expression, awaitPromise: true, returnByValue: true };
    this.#socket.send(JSON.stringify({ id, method: 'Runtime.evaluate', params }));
    const { result } = await answer;
    if (result?.exceptionDetails) throw new Error(JSON.stringify(result.exceptionDetails));
    return result?.result?.value;
  }

  /** Waits until the page says this. */
  async says(text: string): Promise<void> {
    const shown = `document.body?.innerText.includes(${JSON.stringify(text)})`;
    await until(async () => (await this.evaluate(shown)) === true, `the page says "${text}"`, 60);
  }

  /** Clicks the last element of `selector` that holds `text`, or what is to be checked in it. */
  async click(selector: string, text: string): Promise<void> {
    const found = `[...document.querySelectorAll(${JSON.stringify(selector)})].findLast((each) => each.innerText.includes(${JSON.stringify(text)}) && !each.disabled)`;
    await until(async () => (await this.evaluate(`${found} !== undefined`)) === true, `there is "${text}"`);
    await this.evaluate(`{ const found = ${found}; (found.querySelector('input') ?? found).click(); }`);
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}
