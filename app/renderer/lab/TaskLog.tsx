import { useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { TaskOutput, TaskState } from '../../../shared/contract/task.ts';
import { address } from './api.ts';

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
    // The browser comes again by itself, with the id of the last piece.
    const source = new EventSource(address('GET /tasks/runs/{id}/live', { params: { id: String(id) } }));
    let waiting: (TaskOutput & { readonly key: number })[] = [];
    let frame = 0;
    const draw = () => {
      frame = 0;
      const more = waiting;
      waiting = [];
      setShown((before) => joined(before, more));
    };
    source.addEventListener('output', (message: MessageEvent<string>) => {
      waiting.push({ ...(JSON.parse(message.data) as TaskOutput), key: Number(message.lastEventId) });
      frame ||= requestAnimationFrame(draw);
    });
    source.addEventListener('state', (message: MessageEvent<string>) => {
      setState(JSON.parse(message.data) as TaskState);
    });
    source.addEventListener('end', () => source.close());
    return () => {
      source.close();
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
