import type { ReactNode } from 'react';
import { InfoIcon, WarnIcon } from '../icons.tsx';

/** A sentence that stands out, with a sign and in a colour of its own. */
export function Note({
  kind,
  children,
}: {
  readonly kind: 'info' | 'warn' | 'bad';
  readonly children: ReactNode;
}) {
  return (
    <div className={`note note-${kind}`}>
      {kind === 'info' ? <InfoIcon size={18} /> : <WarnIcon size={18} />}
      <div className="note-text">{children}</div>
    </div>
  );
}
