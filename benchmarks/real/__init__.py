"""Every method on two real models: trained weights and human texts from the package registry."""
