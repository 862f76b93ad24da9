import { useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { TaskOutput, TaskState } from '../../../shared/contract/task.ts';
import { address } from './api.ts';
import { listen } from './live.ts';

/** Milliseconds before the log is asked for again after it was refused. */
const pause = 5000;
/** Letters that are shown; of more the last ones. */
const most = 200_000;

interface Shown {
  readonly pieces: readonly (TaskOutput & { readonly key: number })[];
  readonly letters: number;
}
const nothing: Shown = { pieces: [], letters: 0 };

function joined({ pieces, letters }: Shown, more: readonly (TaskOutput & { readonly key: number })[]): Shown {
  const all = [...pieces, ...more];
  let size = letters + more.reduce((sum, { text }) => sum + text.length, 0);
  let from = 0;
  while (size > most && from < all.length - 1) size -= all[from++]?.text.length ?? 0;
  return { pieces: all.slice(from), letters: size };
}

/** The output of a run while it comes, and its state as the stream tells it. */
function useRun(id: number): { readonly shown: Shown; readonly state: TaskState | null } {
  const [shown, setShown] = useState(nothing);
  const [state, setState] = useState<TaskState | null>(null);
  useEffect(() => {
    setShown(nothing);
    setState(null);
    let last = '';
    let ended = false;
    let source: EventSource | null = null;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let waiting: (TaskOutput & { readonly key: number })[] = [];
    let frame = 0;
    const draw = () => {
      frame = 0;
      const more = waiting;
      waiting = [];
      setShown((before) => joined(before, more));
    };
    const open = () => {
      clearTimeout(timer);
      source?.close();
      // A browser has few connections to an appliance: a page that nobody sees keeps none.
      if (ended || document.hidden) return;
      const query = last === '' ? {} : { query: { last_event_id: Number(last) } };
      const stream = new EventSource(
        address('GET /tasks/runs/{id}/live', { params: { id: String(id) }, ...query }),
      );
      source = stream;
      stream.addEventListener('output', (message: MessageEvent<string>) => {
        last = message.lastEventId;
        waiting.push({ ...(JSON.parse(message.data) as TaskOutput), key: Number(last) });
        frame ||= requestAnimationFrame(draw);
      });
      stream.addEventListener('state', (message: MessageEvent<string>) => {
        setState(JSON.parse(message.data) as TaskState);
      });
      stream.addEventListener('end', () => {
        ended = true;
        stream.close();
      });
      // A browser comes again by itself where there was no answer, and gives up where the answer was a refusal.
      stream.addEventListener('error', () => {
        if (stream.readyState === EventSource.CLOSED && stream === source) timer = setTimeout(open, pause);
      });
    };
    const onSight = () => {
      if (!document.hidden) open();
      else source?.close();
    };
    open();
    const endNews = listen('again', open);
    document.addEventListener('visibilitychange', onSight);
    return () => {
      ended = true;
      endNews();
      document.removeEventListener('visibilitychange', onSight);
      clearTimeout(timer);
      source?.close();
      cancelAnimationFrame(frame);
    };
  }, [id]);
  return { shown, state };
}

/** The live log of a run; it follows its end unless somebody scrolled away from it. */
export function TaskLog({
  id,
  onState,
}: {
  readonly id: number;
  readonly onState: (state: TaskState) => void;
}) {
  const { t } = useTranslation();
  const { shown, state } = useRun(id);
  const box = useRef<HTMLPreElement>(null);
  const follows = useRef(true);
  useEffect(() => {
    if (state !== null) onState(state);
  }, [state, onState]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the text is what it reacts to
  useEffect(() => {
    if (follows.current && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [shown]);
  return (
    <pre
      ref={box}
      className="task-log"
      role="log"
      aria-label={t('lab.task.output')}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard
      tabIndex={0}
      onScroll={({ currentTarget: { scrollTop, scrollHeight, clientHeight } }) => {
        follows.current = scrollHeight - scrollTop - clientHeight < 24;
      }}
    >
      {shown.pieces.length === 0 ? <span className="quiet">{t('lab.task.noOutput')}</span> : null}
      {shown.pieces.map(({ key, stream, text }) => (
        <span key={key} className={`task-${stream}`}>
          {text}
        </span>
      ))}
    </pre>
  );
}
