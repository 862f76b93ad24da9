import { type ReactNode, useState } from 'react';
import { Confirm } from './Confirm.tsx';

interface Props {
  readonly title: string;
  /** What follows from it. */
  readonly text: string;
  /** What the button of the question says. */
  readonly act: string;
  readonly onAct: () => Promise<boolean>;
  /** What it is asked by; `ask` opens the question. */
  readonly children: (ask: () => void) => ReactNode;
}

/** A button whose act cannot be undone, and the question before it. */
export function Asked({ title, text, act, onAct, children }: Props) {
  const [asking, setAsking] = useState(false);
  return (
    <>
      {children(() => setAsking(true))}
      {asking ? (
        <Confirm danger title={title} act={act} onAct={onAct} onClose={() => setAsking(false)}>
          <p>{text}</p>
        </Confirm>
      ) : null}
    </>
  );
}
