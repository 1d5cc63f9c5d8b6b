package errorstatus

import "context"

func addsAnImport(ctx context.Context, text string) error {
	ctx, span := own.Start(ctx, "adds an import") // want `span "adds an import" stays unset when an error is returned \(line 9\)`
	defer span.End()
	if err := save(ctx, text); err != nil {
		return err
	}
	return nil
}
