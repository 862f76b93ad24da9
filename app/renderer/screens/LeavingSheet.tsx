import { ask } from '../client.ts';
import { Button } from '../parts/Button.tsx';
import { Sheet } from '../parts/Sheet.tsx';
import { useText } from '../parts/useText.ts';
import { attempt, useStore } from '../store.ts';

/** Asked when the window is to be closed while an appliance runs that would end with it. */
export function LeavingSheet() {
  const { t } = useText();
  const close = () => useStore.setState({ sheet: null });
  const leave = (stay: boolean) => void attempt(() => ask('window.leave', { stay }));
  return (
    <Sheet
      alert
      title={t('appliance.leaving.title')}
      onClose={close}
      actions={
        <>
          <Button look="danger" onPress={() => leave(false)}>
            {t('appliance.leaving.stop')}
          </Button>
          <Button onPress={() => leave(true)}>{t('appliance.leaving.stay')}</Button>
          <Button look="primary" autoFocus onPress={close}>
            {t('appliance.leaving.back')}
          </Button>
        </>
      }
    >
      <p>{t('appliance.leaving.text')}</p>
    </Sheet>
  );
}
