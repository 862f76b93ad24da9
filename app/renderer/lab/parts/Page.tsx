import { type ReactNode, useEffect } from 'react';
import { useTranslation } from 'react-i18next';

interface Props {
  readonly title: string;
  readonly actions?: ReactNode;
  readonly lead?: ReactNode;
  /** The page scrolls inside, so it is as high as the window. */
  readonly filled?: boolean;
  readonly children: ReactNode;
}

/** A page: its headline, what can be done on it, and its content. */
export function Page({ title, actions, lead, filled = false, children }: Props) {
  const { t } = useTranslation();
  useEffect(() => {
    document.title = `${title} · ${t('lab.title')}`;
  }, [title, t]);
  return (
    <div className={filled ? 'page page-filled' : 'page'}>
      <header className="page-top">
        <div className="page-words">
          <h1 id="page-title" className="title">
            {title}
          </h1>
          {lead}
        </div>
        <div className="page-actions">{actions}</div>
      </header>
      {children}
    </div>
  );
}

interface CardProps {
  readonly title: string;
  readonly actions?: ReactNode;
  readonly children: ReactNode;
  readonly className?: string;
}

export function Card({ title, actions, children, className = '' }: CardProps) {
  return (
    <section className={`sheet ${className}`} aria-label={title}>
      <header className="sheet-top">
        <h2 className="sheet-title">{title}</h2>
        {actions}
      </header>
      {children}
    </section>
  );
}

export interface Fact {
  readonly name: string;
  readonly value: ReactNode;
}

export function Facts({ facts }: { readonly facts: readonly Fact[] }) {
  return (
    <dl className="facts">
      {facts.map(({ name, value }) => (
        <div key={name} className="fact">
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
