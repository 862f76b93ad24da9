import type { ReactNode } from 'react';
import { Radio, RadioGroup } from 'react-aria-components';

export interface Option<Key extends string> {
  readonly key: Key;
  readonly isDisabled?: boolean;
  readonly content: ReactNode;
}

interface Props<Key extends string> {
  readonly labelledBy: string;
  readonly value: Key | null;
  readonly options: readonly Option<Key>[];
  readonly onChange: (key: Key) => void;
}

/** One of some that need more than a word each. */
export function Options<Key extends string>({ labelledBy, value, options, onChange }: Props<Key>) {
  return (
    <RadioGroup
      className="disks"
      aria-labelledby={labelledBy}
      value={value}
      onChange={(key) => {
        const found = options.find((option) => option.key === key);
        if (found) onChange(found.key);
      }}
    >
      {options.map(({ key, isDisabled = false, content }) => (
        <Radio key={key} value={key} isDisabled={isDisabled} className="disk">
          <span className="radio-dot" aria-hidden="true" />
          {content}
        </Radio>
      ))}
    </RadioGroup>
  );
}
