import { shownText } from '../../../../shared/lab/shown.ts';

interface Props<Key extends string> {
  readonly label: string;
  readonly value: Key;
  /** A value that is none of them is shown as it is: what is chosen is never hidden behind another one. */
  readonly options: readonly { readonly key: Key; readonly text: string }[];
  readonly onChange: (key: Key) => void;
  /** The label is for screen readers only. */
  readonly hidden?: boolean;
  readonly hint?: string;
  readonly isDisabled?: boolean;
}

/** One of several: the browser's own list, which also works with thousands of options and on a phone. */
export function Pick<Key extends string>({
  label,
  value,
  options,
  onChange,
  hidden = false,
  hint,
  isDisabled = false,
}: Props<Key>) {
  return (
    <label className="pick">
      <span className={hidden ? 'for-readers' : 'field-label'}>{label}</span>
      <select
        className="pick-list"
        value={value}
        disabled={isDisabled}
        onChange={({ target }) => {
          const found = options.find(({ key }) => key === target.value);
          if (found) onChange(found.key);
        }}
      >
        {options.some(({ key }) => key === value) ? null : <option value={value}>{shownText(value)}</option>}
        {options.map(({ key, text }) => (
          <option key={key} value={key}>
            {shownText(text)}
          </option>
        ))}
      </select>
      {hint === undefined ? null : <span className="field-hint">{hint}</span>}
    </label>
  );
}
