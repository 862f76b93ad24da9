import { ProgressBar } from 'react-aria-components';

interface Props {
  readonly label: string;
  /** From 0 to 1; null where nobody knows how much there is. */
  readonly share: number | null;
  readonly tone?: string;
  readonly text?: string;
}

export function Bar({ label, share, tone = 'work', text }: Props) {
  return (
    <ProgressBar
      aria-label={label}
      className={`bar bar-${tone}`}
      isIndeterminate={share === null}
      value={(share ?? 0) * 100}
      {...(text === undefined ? {} : { valueLabel: text })}
    >
      {({ percentage }) => (
        <span className="bar-track">
          <span
            className={share === null ? 'bar-fill bar-endless' : 'bar-fill'}
            style={share === null ? {} : { width: `${percentage ?? 0}%` }}
          />
        </span>
      )}
    </ProgressBar>
  );
}
