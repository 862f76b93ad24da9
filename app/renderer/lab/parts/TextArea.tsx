import { TextArea as Area, FieldError, Label, Text, TextField } from 'react-aria-components';

interface Props {
  readonly label: string;
  readonly hint?: string;
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly problem?: string | null;
}

/** A field for several lines. */
export function TextArea({ label, hint, value, onChange, problem = null }: Props) {
  return (
    <TextField
      validationBehavior="aria"
      className="field"
      value={value}
      onChange={onChange}
      isInvalid={problem !== null}
    >
      <Label className="field-label">{label}</Label>
      <Area className="field-input field-area" rows={3} />
      {hint === undefined ? null : (
        <Text slot="description" className="field-hint">
          {hint}
        </Text>
      )}
      <FieldError className="field-problem">{problem}</FieldError>
    </TextField>
  );
}
