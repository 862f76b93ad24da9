import type { ReactNode } from 'react';
import { type ButtonProps, Button as Pressable } from 'react-aria-components';

interface Props extends Omit<ButtonProps, 'children' | 'className'> {
  readonly look?: 'primary' | 'plain' | 'quiet' | 'danger';
  readonly icon?: ReactNode;
  readonly children: ReactNode;
}

export function Button({ look = 'plain', icon, children, ...rest }: Props) {
  return (
    <Pressable {...rest} className={`button button-${look}`}>
      {icon}
      <span>{children}</span>
    </Pressable>
  );
}

/** A button that shows only its icon; `label` says what it does. */
export function IconButton({
  label,
  icon,
  ...rest
}: Omit<ButtonProps, 'children'> & { label: string; icon: ReactNode }) {
  return (
    <Pressable {...rest} aria-label={label} className="button button-icon">
      {icon}
    </Pressable>
  );
}
