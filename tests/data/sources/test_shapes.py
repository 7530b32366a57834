def test_drawn_pictures_are_a_pure_function():
    from foodjax.data.sources import shapes

    pictures = [shapes.draw_png(name, 3, 0) for name in shapes.CLASS_NAMES]
    assert pictures == [shapes.draw_png(name, 3, 0) for name in shapes.CLASS_NAMES]
    assert len(set(pictures)) == 10
