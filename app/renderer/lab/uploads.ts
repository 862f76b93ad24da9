/** Uploads in pieces: they outlive pages, lost connections and restarts of the appliance, and go on where they were. */
import { create } from 'zustand';
import { askAgain } from './answer.ts';
import { Refusal, send } from './api.ts';
import { useLab } from './store.ts';

export interface Upload {
  readonly id: number;
  readonly shelf: Shelf;
  readonly name: string;
  readonly sent: number;
  readonly total: number;
  /** `queued`: others come first. `waiting`: the appliance is away. */
  readonly state: 'queued' | 'running' | 'waiting' | 'failed';
  readonly refusal: Refusal | null;
  readonly cancel: () => void;
}

interface Uploads {
  readonly uploads: readonly Upload[];
}
const useUploads = create<Uploads>()(() => ({ uploads: [] }));

/** The uploads to one shelf. */
export function useShelf(shelf: Shelf): readonly Upload[] {
  return useUploads(({ uploads }) => uploads).filter((one) => one.shelf === shelf);
}

/** Bytes of one piece: each is safe on the appliance's disk once it is answered. */
const piece = 8 * 1024 * 1024;
/** Uploads at once: a browser has six connections to an appliance, and the pages need some. */
const atOnce = 2;
/** Milliseconds between two tries while the appliance cannot be reached. */
const pause = 2000;
let count = 0;

/** Where files of that kind go: the path to which their names are added. */
export type Shelf = 'images' | 'boot' | 'tasks/files';

const isGoing = ({ state }: Upload) => state !== 'failed';

// Whoever leaves the page ends what it sends.
window.addEventListener('beforeunload', (event) => {
  if (useUploads.getState().uploads.some(isGoing)) event.preventDefault();
});

/** Begins those that waited for their turn. */
const queue: (() => void)[] = [];
let running = 0;
function next(): void {
  while (running < atOnce) {
    const start = queue.shift();
    if (start === undefined) return;
    running++;
    start();
  }
}

/** Sends `file`; one that is being sent under the same name is not begun twice. */
export function upload(file: File, shelf: Shelf): void {
  const same = (one: Upload) => one.shelf === shelf && one.name === file.name;
  if (useUploads.getState().uploads.some((one) => same(one) && isGoing(one))) return;
  useUploads.setState(({ uploads }) => ({ uploads: uploads.filter((one) => !same(one)) }));
  const id = ++count;
  const abort = new AbortController();
  const put = (changes: Partial<Upload>) =>
    useUploads.setState(({ uploads }) => ({
      uploads: uploads.map((one) => (one.id === id ? { ...one, ...changes } : one)),
    }));
  const leave = () =>
    useUploads.setState(({ uploads }) => ({ uploads: uploads.filter((one) => one.id !== id) }));
  const cancel = () => {
    abort.abort();
    leave();
  };
  const begun = {
    id,
    shelf,
    name: file.name,
    sent: 0,
    total: file.size,
    state: 'queued',
    refusal: null,
    cancel,
  } as const;
  useUploads.setState(({ uploads }) => ({ uploads: [...uploads, begun] }));
  const work = async () => {
    if (abort.signal.aborted) return;
    put({ state: 'running' });
    try {
      await (shelf === 'images' ? pieces(file, abort.signal, put) : whole(file, shelf, abort.signal));
      leave();
      useLab.getState().say('good', 'lab.images.uploaded', { name: file.name });
      askAgain('');
    } catch (error) {
      if (abort.signal.aborted) return;
      // A file that was changed or unplugged meanwhile cannot be read.
      const refusal = error instanceof Refusal ? error : new Refusal(400, String(error));
      put({ state: 'failed', refusal });
    }
  };
  queue.push(() => {
    void work().finally(() => {
      running--;
      next();
    });
  });
  next();
}

/** Files other than images are small, and are taken in one piece. */
async function whole(file: File, shelf: Shelf, signal: AbortSignal): Promise<void> {
  await send(`/${shelf}/${encodeURIComponent(file.name)}`, { method: 'PUT', body: file, signal });
}

async function pieces(
  file: File,
  signal: AbortSignal,
  put: (changes: Partial<Upload>) => void,
): Promise<void> {
  const path = `/images/${encodeURIComponent(file.name)}`;
  const request = (range: string, body: Blob | null) =>
    send(path, { method: 'PUT', body, signal, headers: { 'content-range': range } });
  if (file.size === 0) {
    await send(path, { method: 'PUT', body: file, signal });
    return;
  }
  let at: number | null = null;
  for (;;) {
    try {
      at ??= Number((await request(`bytes */${file.size}`, null)).headers.get('upload-offset') ?? 0);
      put({ sent: at, state: 'running' });
      const end = Math.min(file.size, at + piece);
      const answer = await request(`bytes ${at}-${end - 1}/${file.size}`, file.slice(at, end));
      if (answer.status !== 202) return;
      at = end;
    } catch (error) {
      if (signal.aborted || !(error instanceof Refusal)) throw error;
      // What is only away comes back; 409 is told where another piece is wanted.
      if (error.status !== 0 && error.status !== 503 && error.status !== 409 && error.status !== 401)
        throw error;
      put({ state: 'waiting' });
      await new Promise((resolve) => setTimeout(resolve, pause));
      at = null;
    }
  }
}
