import { FieldError, Input, Label, Text, TextField, type TextFieldProps } from 'react-aria-components';

interface Props extends TextFieldProps {
  readonly label: string;
  readonly hint?: string;
  readonly placeholder?: string;
  readonly problem?: string | null;
}

export function Field({ label, hint, placeholder, problem = null, ...rest }: Props) {
  return (
    <TextField validationBehavior="aria" {...rest} className="field" isInvalid={problem !== null}>
      <Label className="field-label">{label}</Label>
      <Input className="field-input" {...(placeholder === undefined ? {} : { placeholder })} />
      {hint === undefined ? null : (
        <Text slot="description" className="field-hint">
          {hint}
        </Text>
      )}
      <FieldError className="field-problem">{problem}</FieldError>
    </TextField>
  );
}
