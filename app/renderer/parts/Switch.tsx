import { Switch as Toggle } from 'react-aria-components';

interface Props {
  readonly label: string;
  readonly hint: string;
  readonly value: boolean;
  readonly onChange: (value: boolean) => void;
}

export function Switch({ label, hint, value, onChange }: Props) {
  return (
    <Toggle className="switch" isSelected={value} onChange={onChange}>
      <span className="switch-words">
        <span className="switch-label">{label}</span>
        <span className="switch-hint">{hint}</span>
      </span>
      <span className="switch-track" aria-hidden="true">
        <span className="switch-thumb" />
      </span>
    </Toggle>
  );
}
