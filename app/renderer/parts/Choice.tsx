import { Button, Label, ListBox, ListBoxItem, Popover, Select, SelectValue } from 'react-aria-components';
import { DownIcon } from '../icons.tsx';

interface Props<Key extends string> {
  readonly label: string;
  readonly value: Key;
  readonly options: readonly { readonly key: Key; readonly text: string }[];
  readonly onChange: (key: Key) => void;
  readonly hidden?: boolean;
}

/** One of a few. `hidden`: the label is for screen readers only. */
export function Choice<Key extends string>({ label, value, options, onChange, hidden = false }: Props<Key>) {
  return (
    <Select
      className="choice"
      value={value}
      onChange={(key) => {
        const found = options.find((option) => option.key === key);
        if (found) onChange(found.key);
      }}
    >
      <Label className={hidden ? 'for-readers' : 'field-label'}>{label}</Label>
      <Button className="button button-plain choice-button">
        <SelectValue />
        <DownIcon size={16} />
      </Button>
      <Popover className="popover">
        <ListBox className="options">
          {options.map(({ key, text }) => (
            <ListBoxItem key={key} id={key} className="option" textValue={text}>
              {text}
            </ListBoxItem>
          ))}
        </ListBox>
      </Popover>
    </Select>
  );
}
