import { createContext, type ReactNode, useContext } from 'react';
import { Dialog, Heading, Modal, ModalOverlay } from 'react-aria-components';

interface Props {
  readonly title: string;
  readonly children: ReactNode;
  readonly actions: ReactNode;
  readonly onClose: () => void;
  /** An alert interrupts, and does not go away by a click beside it. */
  readonly alert?: boolean;
}

/** True while dialogs are put aside: what they ask about is kept, and they are there again afterwards. */
export const SheetsAside = createContext(false);

/** A dialog over the window. Escape closes it, and the focus returns to where it was. */
export function Sheet({ title, children, actions, onClose, alert = false }: Props) {
  if (useContext(SheetsAside)) return null;
  return (
    <ModalOverlay
      className="overlay"
      isOpen
      isDismissable={!alert}
      onOpenChange={(open) => open || onClose()}
    >
      <Modal className="modal">
        <Dialog className="dialog" role={alert ? 'alertdialog' : 'dialog'}>
          <Heading slot="title" className="dialog-title">
            {title}
          </Heading>
          <div className="dialog-body">{children}</div>
          <div className="dialog-actions">{actions}</div>
        </Dialog>
      </Modal>
    </ModalOverlay>
  );
}
