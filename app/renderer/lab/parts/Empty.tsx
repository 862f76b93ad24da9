import type { ReactNode } from 'react';

interface Props {
  readonly icon?: ReactNode;
  readonly title: string;
  readonly hint?: string;
  readonly children?: ReactNode;
}

/** Nothing is here: why, and what to do about it. */
export function Empty({ icon, title, hint, children }: Props) {
  return (
    <div className="empty">
      {icon === undefined ? null : <span className="empty-icon">{icon}</span>}
      <p className="empty-title">{title}</p>
      {hint === undefined ? null : <p className="empty-hint">{hint}</p>}
      {children}
    </div>
  );
}
