import { useEffect } from 'react';
import { ask } from '../client.ts';
import { Button } from '../parts/Button.tsx';
import { Sheet } from '../parts/Sheet.tsx';
import { useText } from '../parts/useText.ts';
import { attempt, useStore } from '../store.ts';

/** Asked when the window is to be closed while something is being written. It goes away when the writing has ended. */
export function ClosingSheet({ busy, asking }: { readonly busy: boolean; readonly asking: boolean }) {
  const { t } = useText();
  const close = () => useStore.setState({ sheet: null });
  useEffect(() => {
    if (!busy) useStore.setState({ sheet: null });
  }, [busy]);
  return (
    <Sheet
      alert
      title={t(asking ? 'progress.asking' : 'closing.title')}
      onClose={close}
      actions={
        <>
          <Button look="danger" onPress={() => void attempt(() => ask('window.abandon', {}))}>
            {t('closing.leave')}
          </Button>
          <Button look="primary" autoFocus onPress={close}>
            {t(asking ? 'closing.stayAsking' : 'closing.stay')}
          </Button>
        </>
      }
    >
      <p>{t(asking ? 'closing.textAsking' : 'closing.text')}</p>
    </Sheet>
  );
}
